//! Damage: small changes that turn a good input into one that nobody thought of.

/// What parsers trip over.
const WORDS: &[&str] = &[
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "0",
    "-0",
    "-1",
    "1e999",
    "1e-999",
    "0.1",
    "9223372036854775808",
    "340282366920938463463374607431768211456",
    "100000000000000000001",
    "\\u0000",
    "\\ud800",
    "\u{e9}",
    "\u{1f600}",
    "\u{feff}",
    "|",
    ":",
    "arn:aws:dynamodb:",
    "stream/2015-05-20T20:51:10.252",
    "{\"S\":",
    "{\"N\":\"1\"}",
    "{\"L\":[",
    "{\"M\":{",
    "{\"NULL\":true}",
    "{\"SS\":[\"a\",\"a\"]}",
    "{\"B\":\"AA=\"}",
    "shardId-",
    "AT_SEQUENCE_NUMBER",
    "LATEST",
    "=",
    "\n",
    ",",
    "\"S\"",
    "\"NS\"",
    "\"BS\"",
    "}",
    "]",
];

/// Numbers at the edges of what holds them.
const NUMBERS: &[&str] = &[
    "0",
    "00",
    "-1",
    "1001",
    "65536",
    "1000000000",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "100000000000000000000",
    "1e18",
    "1e999",
    "0.5",
];

/// Pseudo-random numbers (splitmix64), the same for the same seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % limit.max(1) as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.below(among.len())]
    }
}

/// One change. The first byte, which says what the input is for, stays.
pub fn damage(input: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    if input.len() < 2 {
        input.resize(2, 0);
    }
    let at = 1 + dice.below(input.len() - 1);
    let to = at + dice.below((input.len() - at).min(40) + 1);
    match dice.below(10) {
        0 => input[at] ^= 1 << dice.below(8),
        1 => input[at] = dice.below(256) as u8,
        2 => drop(input.drain(at..to)),
        3 => input.truncate(at),
        4 => {
            let again = input[at..to].to_vec();
            let most = if dice.below(20) == 0 { 2_000 } else { 4 };
            let times = 1 + dice.below(most);
            drop(input.splice(at..at, again.repeat(times)));
        }
        5 => drop(input.splice(at..at, dice.pick(WORDS).bytes())),
        6 => drop(input.splice(at..to, dice.pick(WORDS).bytes())),
        7 => {
            let other = dice.pick(seeds);
            let from = 1 + dice.below(other.len() - 1);
            let until = from + dice.below(other.len() - from + 1);
            drop(input.splice(at..to, other[from..until].iter().copied()));
        }
        // A whole number becomes another one.
        8 => {
            let is_digit = |at: &usize| input.get(*at).is_some_and(u8::is_ascii_digit);
            let starts = (1..input.len()).filter(|at| is_digit(at) && !is_digit(&(at - 1)));
            let starts: Vec<_> = starts.collect();
            if let Some(&start) = starts.get(dice.below(starts.len())) {
                let end = (start..).find(|at| !is_digit(at)).unwrap_or(start);
                drop(input.splice(start..end, dice.pick(NUMBERS).bytes()));
            }
        }
        // A whole string becomes another one.
        _ => {
            let quotes: Vec<_> = (1..input.len()).filter(|&at| input[at] == b'"').collect();
            if let Some(pair) = quotes.get(2 * dice.below(quotes.len() / 2)..)
                && let [start, end, ..] = *pair
            {
                drop(input.splice(start + 1..end, dice.pick(WORDS).bytes()));
            }
        }
    }
    input.truncate(64 << 10);
}
