//! Which names of topics and which filters MQTT allows (5 §4.7, §4.8.2).

pub(super) use crate::subject::{is_mqtt_filter as is_filter, shared};

/// Tells whether a topic can be published to.
pub(super) fn is_name(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#', '\0'])
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
