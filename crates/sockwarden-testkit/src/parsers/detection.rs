//! What must hold of what looks for attacks.

use std::sync::LazyLock;

use sockwarden_detect::{Detection, Judgement, Policy, Preset, Scan};
use sockwarden_inspect::{Conversation, InspectLimits, Message, Reader};
use sockwarden_model::Direction;

static DETECTIONS: LazyLock<[Detection; 2]> = LazyLock::new(|| {
    let mut everything = Policy::of(Preset::Strict);
    everything.paranoia = 4;
    [Detection::new(&Policy::default()), Detection::new(&everything)]
});

/// A message is judged the same way with used buffers as with new ones, whoever sent it; what is told of it is bounded and readable.
pub fn detection(bytes: &[u8]) {
    let mut scan = Scan::default();
    for detection in &*DETECTIONS {
        for direction in [Direction::Client, Direction::Server] {
            let message = Message::of_body(direction, bytes);
            let judgement = judge(detection, &mut scan, &message);
            assert_eq!(judgement, judge(detection, &mut scan, &message), "used buffers change nothing");
            assert_eq!(judgement, judge(detection, &mut Scan::default(), &message), "nor do new ones");
            assert!(judgement.observations.len() <= Judgement::MOST);
            assert_eq!(judgement.blocked, judgement.score >= detection.threshold());
            assert!(judgement.score <= 11);
            for one in &judgement.observations {
                assert!((1..=10).contains(&one.weight), "{one:?}");
                // An escape of one byte is four characters long.
                assert!(one.excerpt.chars().count() <= 4 * 60 + 32, "{one:?}");
                assert!(!one.excerpt.chars().any(char::is_control), "{one:?}");
            }
        }
    }
}

fn judge(detection: &Detection, scan: &mut Scan, message: &Message<'_>) -> Judgement {
    scan.begin(message.direction);
    let (limits, mut reader) = (InspectLimits::default(), Reader::default());
    Conversation::of_no_protocol().message(&mut reader, &limits, message, &mut scan.sink(detection));
    scan.finish(detection)
}
