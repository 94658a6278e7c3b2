//! Which names of topics and which filters MQTT allows (5 §4.7, §4.8.2).

/// Tells whether a topic can be published to.
pub(super) fn is_name(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#', '\0'])
}

/// Tells whether a filter can be subscribed to.
pub(super) fn is_filter(filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    let mut well_placed = !filter.is_empty() && !filter.contains('\0');
    while let Some(level) = levels.next() {
        let last = levels.peek().is_none();
        well_placed &= !level.contains(['+', '#']) || level == "+" || level == "#" && last;
    }
    well_placed
}

/// Gives the group and the filter of a shared subscription; `None` where it is none. The filter is empty where it is missing.
pub(super) fn shared(filter: &str) -> Option<(&str, &str)> {
    let rest = filter.strip_prefix("$share/")?;
    Some(rest.split_once('/').unwrap_or((rest, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_alone_and_only_in_filters() {
        let check = |text: &str, name: bool, filter: bool| {
            assert_eq!((is_name(text), is_filter(text)), (name, filter), "{text:?}");
        };
        check("a", true, true);
        check("/", true, true);
        check("a//b", true, true);
        check("$SYS/x", true, true);
        check("é ü", true, true);
        check("", false, false);
        check("a\0", false, false);
        check("+", false, true);
        check("+/a/+/#", false, true);
        check("#", false, true);
        check("a/#/b", false, false);
        check("a#", false, false);
        check("a/b+", false, false);
        check("##", false, false);
    }

    #[test]
    fn shared_subscriptions_have_a_group_and_a_filter() {
        assert_eq!(shared("$share/g/a/+"), Some(("g", "a/+")));
        assert_eq!(shared("$share/g"), Some(("g", "")));
        assert_eq!(shared("$SYS/a"), None);
    }
}
