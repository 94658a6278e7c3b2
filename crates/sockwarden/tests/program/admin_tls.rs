//! Certificates at the admin listener: the gateway's own, and those of its operators.

use std::{fs, net::SocketAddr, path::Path};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;

use crate::{
    admin::{admin_of, configure, new_token},
    operator::told,
    run::{Guard, soon},
};

/// Somebody who signs certificates.
struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// Writes its certificate to `NAME.pem`.
    fn new(folder: &Path, name: &str) -> Self {
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        Self(Issuer::new(parameters, key))
    }

    /// Writes a certificate to `FILE.pem` and its key to `FILE.key`.
    fn sign(&self, folder: &Path, file: &str, common: &str, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, common);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.0).unwrap();
        fs::write(folder.join(format!("{file}.pem")), certificate.pem()).unwrap();
        fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
    }
}

/// A gateway whose listener has the certificate `server` of the authority `house`, and `admin` says the rest.
fn start(folder: &Path, admin: &str) -> (Guard, SocketAddr) {
    let text = format!("certificate = \"server.pem\"\nkey = \"server.key\"\n{admin}");
    configure(folder, "127.0.0.1:9".parse().unwrap(), &text);
    let guard = Guard::start(folder, &["-c", "a.toml"]);
    let admin = admin_of(&guard);
    (guard, admin)
}

#[test]
fn a_certificate_gives_the_role_of_its_name_and_the_audit_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    new_token(folder, "operator");
    let (house, staff, stranger) = (
        Authority::new(folder, "house"),
        Authority::new(folder, "staff"),
        Authority::new(folder, "stranger"),
    );
    house.sign(folder, "server", "gateway", &["localhost"]);
    staff.sign(folder, "mara", "mara", &["mara@app.example"]);
    staff.sign(folder, "jon", "jon", &[]);
    staff.sign(folder, "guest", "guest", &[]);
    staff.sign(folder, "backend", "backend", &["backend.app.example"]);
    stranger.sign(folder, "false", "mara", &["mara@app.example"]);
    let (guard, admin) = start(
        folder,
        "token_file = \"operator\"\nclient_ca = \"staff.pem\"\n\
         operator_names = [\"mara@app.example\"]\nviewer_names = [\"jon\"]\n\
         issuer_names = [\"backend.app.example\"]",
    );
    let at = format!("--admin https://localhost:{} --ca house.pem", admin.port());
    let check = |command: &str, shown: &str, code: i32, says: &str| {
        let said = told(folder, &format!("{command} {at} {shown}"));
        assert!(
            said.code == code && said.err.contains(says),
            "{command} {shown}: {} {}",
            said.code,
            said.err
        );
    };
    check("status", "--cert mara.pem --key mara.key", 0, "");
    check("reload", "--cert mara.pem --key mara.key", 0, "");
    check("status", "--cert jon.pem --key jon.key", 0, "");
    check("reload", "--cert jon.pem --key jon.key", 1, "the role does not suffice");
    check("reload", "--cert jon.pem --key jon.key --token-file operator", 0, "");
    check("revoke user mara", "--cert backend.pem --key backend.key", 0, "");
    check("revoke user mara", "--cert mara.pem --key mara.key", 0, "");
    check("revoke user mara", "--cert jon.pem --key jon.key", 1, "the role does not suffice");
    check("sessions", "--cert backend.pem --key backend.key", 1, "the role does not suffice");
    check("status", "--cert guest.pem --key guest.key", 1, "the certificate of `guest.pem` was shown");
    check("status", "--cert guest.pem --key guest.key --token-file operator", 0, "");
    check("status", "--token-file operator", 0, "");
    check("status", "", 1, "does not know who asks");
    check("status", "--cert false.pem --key false.key", 1, "wants a certificate that it trusts");
    check("status", "--cert false.pem --key false.key --token-file operator", 1, "wants a certificate");
    check("status", "--cert mara.pem --key jon.key", 1, "`mara.pem` with `jon.key` cannot be used");
    check("status", "--cert mara.pem", 2, "--key");
    let ended = guard.stop();
    let audits: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["event"] == "audit")
        .collect();
    let reloads: Vec<&str> = audits
        .iter()
        .filter(|audit| audit["action"] == "reload")
        .map(|audit| audit["by"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(reloads, ["mara@app.example", "jon"]);
    let refused = |audit: &&Value| audit["by"]["name"] == "jon" && audit["by"]["role"] == "viewer";
    assert!(audits.iter().any(|audit| refused(&audit)), "{audits:?}");
}

#[test]
fn a_certificate_can_be_required_on_top_of_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    new_token(folder, "operator");
    let (house, staff) = (Authority::new(folder, "house"), Authority::new(folder, "staff"));
    house.sign(folder, "server", "gateway", &["localhost"]);
    staff.sign(folder, "guest", "guest", &[]);
    let (guard, admin) = start(
        folder,
        "token_file = \"operator\"\nclient_ca = \"staff.pem\"\nrequire_client_certificate = true",
    );
    let at = format!("status --admin https://localhost:{} --ca house.pem", admin.port());
    let code = |shown: &str| told(folder, &format!("{at}{shown}")).code;
    let none = told(folder, &format!("{at} --token-file operator"));
    assert!(none.code == 1 && none.err.contains("wants a certificate that it trusts"), "{}", none.err);
    assert_eq!(code(" --cert guest.pem --key guest.key"), 1);
    assert_eq!(code(" --cert guest.pem --key guest.key --token-file operator"), 0);
    guard.stop();
}

#[test]
fn tokens_are_read_again_by_a_reload_and_certificates_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    new_token(folder, "operator");
    let house = Authority::new(folder, "house");
    house.sign(folder, "server", "gateway", &["localhost"]);
    let (guard, admin) = start(folder, "token_file = \"operator\"\n[limits]\ncertificate_poll = \"20ms\"");
    let at = format!("--admin https://localhost:{} --ca house.pem", admin.port());
    let code =
        |command: &str, token: &str| told(folder, &format!("{command} {at} --token-file {token}")).code;
    fs::rename(folder.join("operator"), folder.join("old")).unwrap();
    new_token(folder, "operator");
    assert_eq!((code("status", "old"), code("status", "operator")), (0, 1));
    assert_eq!(code("reload", "old"), 0);
    assert_eq!((code("status", "old"), code("status", "operator")), (1, 0));

    // Half a pair changes nothing; a whole one from another authority does.
    let other = Authority::new(folder, "house");
    other.sign(folder, "next", "gateway", &["localhost"]);
    fs::rename(folder.join("next.pem"), folder.join("server.pem")).unwrap();
    let said = |what: &str| guard.said().contains(what);
    assert_eq!(code("status", "operator"), 3, "the authority in `house.pem` is the new one");
    fs::rename(folder.join("next.key"), folder.join("server.key")).unwrap();
    assert!(soon(|| (code("status", "operator") == 0).then_some(())).is_some());
    assert!(!said("error"), "{}", guard.said());

    let path = folder.join("a.toml");
    let text = fs::read_to_string(&path).unwrap();
    let moved = text.replace("[admin]\naddress = \"127.0.0.1:0\"", "[admin]\naddress = \"127.0.0.2:0\"");
    fs::write(&path, moved).unwrap();
    let refused = told(folder, &format!("reload {at} --token-file operator"));
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("`admin.address` cannot be changed without a restart"), "{}", refused.err);
    let ended = guard.stop();
    for notice in ["certificate-replaced", "certificate-rejected"] {
        assert_eq!(ended.stdout.matches(notice).count(), 1, "{}", ended.stdout);
    }
}

#[test]
fn who_has_the_gateways_configuration_believes_only_its_own_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    new_token(folder, "operator");
    let house = Authority::new(folder, "house");
    house.sign(folder, "server", "gateway", &["admin.example"]);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let admin = "certificate = \"server.pem\"\nkey = \"server.key\"\ntoken_file = \"operator\"";
    configure(folder, "127.0.0.1:9".parse().unwrap(), admin);
    let path = folder.join("a.toml");
    let text = fs::read_to_string(&path).unwrap();
    let fixed = text.replace("[admin]\naddress = \"127.0.0.1:0\"", &format!("[admin]\naddress = \"{free}\""));
    fs::write(&path, &fixed).unwrap();
    let guard = Guard::start(folder, &["-c", "a.toml"]);
    let said = told(folder, "status -c a.toml");
    assert!(said.code == 0 && said.out.starts_with("ready at https://127.0.0.1:"), "{}", said.err);
    // Signed by the same authority for the same name, and not the same.
    house.sign(folder, "other", "gateway", &["admin.example"]);
    fs::write(&path, fixed.replace("server.", "other.")).unwrap();
    let said = told(folder, "status -c a.toml");
    assert!(
        said.code == 3 && said.err.contains("does not show the certificate of `other.pem`"),
        "{}",
        said.err
    );
    guard.stop();
}
