//! Harbor's web page: four files inside the program.

use crate::flaw::{Flaw, FlawSet};

/// What a page may load and run when chat text is text: only what Harbor itself serves.
pub(crate) const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A file that the page is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Asset {
    pub(crate) content_type: &'static str,
    pub(crate) text: &'static str,
}

/// Finds a file of the page by its path.
pub(crate) fn asset(path: &str, flaws: FlawSet) -> Option<Asset> {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    let (content_type, text) = match path {
        "/" => ("text/html; charset=utf-8", include_str!("../assets/index.html")),
        "/harbor.css" => ("text/css; charset=utf-8", include_str!("../assets/harbor.css")),
        "/harbor.js" => (SCRIPT, include_str!("../assets/harbor.js")),
        "/render.js" if flaws.has(Flaw::StoredXss) => (SCRIPT, include_str!("../assets/render-html.js")),
        "/render.js" => (SCRIPT, include_str!("../assets/render-text.js")),
        _ => return None,
    };
    Some(Asset { content_type, text })
}
