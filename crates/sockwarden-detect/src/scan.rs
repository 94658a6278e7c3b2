//! One message after the other, value by value.

use sockwarden_inspect::{Anomaly, Kind, Marks, Operation, Place, Role, Sink, Step, Value};
use sockwarden_model::{Direction, printable, printable_text};

use crate::{
    Category, Detection, Judgement, Observation, decode,
    detectors::{self, Desk, Text, keys},
    findings::Finding,
    setting,
};

/// How many characters of a value an excerpt shows.
const EXCERPT: usize = 60;

/// The weight from which on a second category makes the first one more likely.
const SPEAKS: u8 = 3;

/// How much of a text is read at once, and how much of it once more with what follows.
const WINDOW: (usize, usize) = (16 * 1024, 512);

/// What is known of the message that is being read, and buffers that serve the next one too. One serves all connections of a thread
/// if each message is read from its begin to its end.
#[derive(Debug)]
pub struct Scan {
    direction: Direction,
    observations: Vec<Observation>,
    /// The heaviest observation of each category in the value that is being read, encodings inside it included.
    weights: [u8; Category::COUNT],
    /// Whether any of them is not zero.
    weighed: bool,
    /// Which value that is: a hash of its place.
    root: u64,
    /// The score of the worst value before it.
    worst: u32,
    desk: Desk,
    plain: Vec<u8>,
    spare: Vec<u8>,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            direction: Direction::Client,
            observations: Vec::new(),
            weights: [0; Category::COUNT],
            weighed: false,
            root: 0,
            worst: 0,
            desk: Desk::default(),
            plain: Vec::new(),
            spare: Vec::new(),
        }
    }
}

impl Scan {
    /// Begins a message and forgets the one before.
    pub fn begin(&mut self, direction: Direction) {
        self.direction = direction;
        self.observations.clear();
        self.settle();
        self.worst = 0;
    }

    /// Takes a value of the message.
    #[inline]
    pub fn value(&mut self, detection: &Detection, value: &Value<'_>) {
        if !is_harmless(value) {
            self.look(detection, value);
        }
    }

    /// Takes what somebody else saw in a value of the message, such as a set of rules; the exclusions of the policy hold for it too.
    pub fn observe(&mut self, detection: &Detection, place: Place<'_>, observation: Observation) {
        if !detection.policy.exclusions.iter().any(|one| one.covers(&observation.rule, &observation.place)) {
            self.at(place);
            self.keep(observation);
        }
    }

    /// Gives the sink that hands all values on to this scan.
    pub fn sink<'a>(&'a mut self, detection: &'a Detection) -> ScanSink<'a> {
        ScanSink { scan: self, detection }
    }

    /// Ends the message: tells what is made of it.
    pub fn finish(&mut self, detection: &Detection) -> Judgement {
        self.settle();
        let score = std::mem::take(&mut self.worst);
        Judgement {
            score,
            blocked: score >= detection.threshold(),
            observations: std::mem::take(&mut self.observations),
        }
    }

    /// Looks into a value that may hold something.
    fn look(&mut self, detection: &Detection, value: &Value<'_>) {
        if value.role == Role::Key && self.direction == Direction::Client {
            self.desk.findings.clear();
            keys::look(value, &mut self.desk.findings);
            self.weigh(detection, value, value.bytes, false);
        }
        // What has reached the threshold is stopped, whatever else it holds and however often that is encoded.
        if is_followed(value) || self.is_decided(detection, value.place) {
            return;
        }
        for bytes in windows(value.bytes) {
            let marks = if bytes.len() == value.bytes.len() { value.marks } else { Marks::of(bytes) };
            self.text(detection, value, bytes, marks, false);
            let (mut plain, mut spare) = (std::mem::take(&mut self.plain), std::mem::take(&mut self.spare));
            if !self.is_decided(detection, value.place)
                && decode::decode(bytes, marks, &mut plain, &mut spare)
            {
                self.text(detection, value, &plain, Marks::of(&plain), true);
            }
            (self.plain, self.spare) = (plain, spare);
        }
    }

    /// Tells whether what was seen of a value, or around it, is enough to stop it.
    fn is_decided(&self, detection: &Detection, place: Place<'_>) -> bool {
        self.weighed && self.score() >= detection.threshold() && self.root == root(place)
    }

    /// Lets the detectors that it starts read a text.
    fn text(&mut self, detection: &Detection, value: &Value<'_>, bytes: &[u8], marks: Marks, decoded: bool) {
        let mut started = detection.starts(self.direction).of(bytes, marks);
        if started == 0 {
            return;
        }
        self.desk.findings.clear();
        let text = Text::new(bytes, marks, value, decoded);
        while started != 0 {
            let number = started.trailing_zeros();
            started &= started - 1;
            if let Some(detector) = detectors::ALL.get(number as usize) {
                (detector.run)(&text, &mut self.desk);
            }
        }
        if !self.desk.findings.list().is_empty() {
            self.weigh(detection, value, bytes, text.sentence());
        }
    }

    /// Weighs what the detectors wrote down.
    fn weigh(&mut self, detection: &Detection, value: &Value<'_>, bytes: &[u8], sentence: bool) {
        if self.desk.findings.list().is_empty() {
            return;
        }
        let place = value.place.to_string();
        self.at(value.place);
        let findings = std::mem::take(&mut self.desk.findings);
        for finding in findings.list() {
            let rule = finding.rule;
            let excluded = || detection.policy.exclusions.iter().any(|one| one.covers(rule.id, &place));
            let weight = lightened(detection, finding, bytes, sentence);
            if weight > 0 && detection.runs(rule) && !excluded() {
                self.keep(Observation {
                    rule: rule.id.into(),
                    category: rule.category,
                    weight,
                    place: place.clone(),
                    excerpt: excerpt(bytes, finding),
                });
            }
        }
        self.desk.findings = findings;
    }

    /// Goes on to the value of this place, unless it is the same one.
    fn at(&mut self, place: Place<'_>) {
        let root = root(place);
        if root != self.root {
            self.settle();
            self.root = root;
        }
    }

    /// Counts an observation; keeps it where there is room and nothing as heavy was seen of the same rule in the same value.
    fn keep(&mut self, observation: Observation) {
        if let Some(weight) = self.weights.get_mut(observation.category as usize) {
            *weight = (*weight).max(observation.weight);
            self.weighed = true;
        }
        fn outer(place: &str) -> Option<&str> {
            place.split('|').next()
        }
        let same = |known: &&mut Observation| {
            known.rule == observation.rule && outer(&known.place) == outer(&observation.place)
        };
        let count = self.observations.len();
        match self.observations.iter_mut().find(same) {
            Some(known) if known.weight < observation.weight => *known = observation,
            Some(_) => {}
            None if count < Judgement::MOST => self.observations.push(observation),
            None => {}
        }
    }

    /// Scores the value that is read: by its heaviest observation, and one more where another category speaks for an attack too.
    fn score(&self) -> u32 {
        let heaviest = self.weights.iter().copied().max().unwrap_or(0);
        let speaking = self.weights.iter().filter(|weight| **weight >= SPEAKS).count();
        u32::from(heaviest) + u32::from(speaking > 1)
    }

    /// Goes on to another value.
    fn settle(&mut self) {
        if self.weighed {
            self.weighed = false;
            self.worst = self.worst.max(self.score());
            self.weights = [0; Category::COUNT];
        }
        self.root = 0;
    }
}

/// A [`Scan`] that takes values as they are told.
#[derive(Debug)]
pub struct ScanSink<'a> {
    scan: &'a mut Scan,
    detection: &'a Detection,
}

impl Sink for ScanSink<'_> {
    #[inline]
    fn value(&mut self, value: &Value<'_>) {
        self.scan.value(self.detection, value);
    }

    fn operation(&mut self, _: &Operation<'_>) {}

    fn anomaly(&mut self, _: Anomaly, _: Place<'_>) {}
}

/// Tells of most values, by their marks, that no detector needs them.
#[inline]
fn is_harmless(value: &Value<'_>) -> bool {
    /// What words, names, numbers and dates are made of.
    const DULL: Marks = Marks::WORD.and(Marks::COMMA).and(Marks::SPACE).and(Marks::COLON).and(Marks::AT);
    value.marks.only(DULL.and(Marks::DOT))
        // Words and numbers can be a statement of SQL, and names with dots those of dangerous classes.
        && !value.marks.holds(Marks::SPACE | Marks::DIGIT)
        && !(value.marks.any(Marks::DOT) && !value.marks.any(Marks::SPACE) && value.marks.any(Marks::LETTER))
        && !keys::may_matter(value)
}

/// Tells whether all that a value holds is told by itself, as the values of the JSON that it is: escaped twice as it stands, it says
/// something else than whoever reads it will see.
fn is_followed(value: &Value<'_>) -> bool {
    /// Less than `InspectLimits` has of them: deeper inside nothing is followed any more.
    const LAYERS: usize = 3;
    matches!(value.bytes.trim_ascii_start().first(), Some(b'{' | b'['))
        && value.kind() == Kind::Json
        && value.place.steps().filter(|step| matches!(step, Step::Inside(_))).count() < LAYERS
}

/// Lowers a weight by what the policy says of sentences and of code in them.
fn lightened(detection: &Detection, finding: &Finding, bytes: &[u8], sentence: bool) -> u8 {
    let mut weight = finding.weight;
    if sentence {
        weight = weight.saturating_sub(detection.leniency.sentence);
    }
    if detection.leniency.quoted > 0 && setting::is_quoted(bytes, finding.range.start) {
        weight = weight.saturating_sub(detection.leniency.quoted);
    }
    weight
}

/// Shows what was found with a little of what stands around it.
fn excerpt(bytes: &[u8], finding: &Finding) -> String {
    let start = finding.range.start.saturating_sub(8);
    let part = bytes.get(start..).unwrap_or_default();
    let part = part.get(..part.len().min(4 * EXCERPT)).unwrap_or_default();
    // A cut may fall into a character.
    let begin = part.iter().take(3).position(|byte| byte & 0xc0 != 0x80).unwrap_or(0);
    let part = part.get(begin..).unwrap_or_default();
    match std::str::from_utf8(part) {
        Ok(text) => printable_text(text, EXCERPT),
        Err(error) if error.error_len().is_none() => printable_text(&String::from_utf8_lossy(part), EXCERPT),
        Err(_) => printable(part.get(..part.len().min(EXCERPT)).unwrap_or_default(), EXCERPT),
    }
}

/// Gives a hash of where a value stands; what is encoded inside it has the same one. It is never zero.
fn root(place: Place<'_>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    for step in place.steps() {
        match step {
            Step::Key(name) => {
                add(1);
                name.iter().for_each(|byte| add(*byte));
            }
            Step::Index(number) => {
                add(2);
                number.to_le_bytes().into_iter().for_each(&mut add);
            }
            Step::Inside(_) => break,
        }
    }
    hash | 1
}

/// Cuts a long text into pieces that overlap.
fn windows(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (size, overlap) = WINDOW;
    let mut next = Some(0);
    std::iter::from_fn(move || {
        let start = next?;
        let end = bytes.len().min(start + size);
        next = (end < bytes.len()).then(|| end - overlap);
        bytes.get(start..end)
    })
}
