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
    /// Of each of them the hash of the place of its value.
    roots: Vec<u64>,
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
            roots: Vec::new(),
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
        self.roots.clear();
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
            if let Some(slot) = self.counted(&observation.rule, observation.category, observation.weight) {
                self.keep(slot, observation);
            }
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
        self.at(value.place);
        // Written only where it is needed: one text may be told in many pieces, all of which say the same.
        let mut place = None;
        let findings = std::mem::take(&mut self.desk.findings);
        for finding in findings.list() {
            let rule = finding.rule;
            let weight = lightened(detection, finding, bytes, sentence);
            if weight == 0 || !detection.runs(rule) {
                continue;
            }
            if !detection.policy.exclusions.is_empty() {
                let place = place.get_or_insert_with(|| value.place.to_string());
                if detection.policy.exclusions.iter().any(|one| one.covers(rule.id, place)) {
                    continue;
                }
            }
            if let Some(slot) = self.counted(rule.id, rule.category, weight) {
                let place = place.get_or_insert_with(|| value.place.to_string()).clone();
                let (rule, category) = (rule.id.into(), rule.category);
                self.keep(
                    slot,
                    Observation { rule, category, weight, place, excerpt: excerpt(bytes, finding) },
                );
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

    /// Counts what a rule saw in the value that is read. Tells where an observation of it is to be kept: nowhere if there is no room, or
    /// if something as heavy was seen by the same rule.
    fn counted(&mut self, rule: &str, category: Category, weight: u8) -> Option<usize> {
        if let Some(heaviest) = self.weights.get_mut(category as usize) {
            *heaviest = (*heaviest).max(weight);
            self.weighed = true;
        }
        let known = self
            .observations
            .iter()
            .zip(&self.roots)
            .position(|(one, root)| *root == self.root && one.rule == rule);
        match known {
            Some(slot) => self.observations.get(slot).filter(|one| one.weight < weight).map(|_| slot),
            None => Some(self.observations.len()).filter(|slot| *slot < Judgement::MOST),
        }
    }

    /// Keeps an observation in this slot.
    fn keep(&mut self, slot: usize, observation: Observation) {
        match self.observations.get_mut(slot) {
            Some(known) => *known = observation,
            None => {
                self.observations.push(observation);
                self.roots.push(self.root);
            }
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
        // Words and numbers can be a statement of SQL.
        && !value.marks.holds(Marks::SPACE | Marks::DIGIT)
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
