//! The texts of the benchmarks: made from a seed, so that no two slices are the same and each run has the same ones.

/// A small generator of numbers (xorshift64*), for texts need no better chance.
pub struct Chance(u64);

impl Chance {
    /// Begins at `seed`, which is not 0.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }
}

const SYLLABLES: [&str; 24] = [
    "an", "ter", "in", "re", "con", "er", "ment", "tion", "al", "o", "ver", "ble", "pre", "ing",
    "com", "ta", "e", "ly", "dis", "ness", "per", "ma", "ro", "sub",
];
const HAN: &str =
    "模型读到的是缩短后的对话而日志保留每一个字所以任何状态都可以重建比较分叉或者恢复";

/// Words of one to four syllables, some with capitals, stops and line breaks: some are tokens, some have to be merged.
#[must_use]
pub fn english(size: usize, chance: &mut Chance) -> String {
    let mut text = String::with_capacity(size + 16);
    while text.len() < size {
        let start = text.len();
        for _ in 0..=chance.below(4) {
            text.push_str(SYLLABLES[chance.below(SYLLABLES.len())]);
        }
        if chance.below(8) == 0 {
            text[start..=start].make_ascii_uppercase();
        }
        text.push_str([" ", " ", " ", " ", " ", ", ", ". ", ".\n"][chance.below(8)]);
    }
    text
}

/// Lines of JSON with names, numbers and short strings.
#[must_use]
pub fn json(size: usize, chance: &mut Chance) -> String {
    let mut text = String::with_capacity(size + 80);
    while text.len() < size {
        let (name, number) = (SYLLABLES[chance.below(24)], chance.below(1_000_000));
        let value = english(24, chance);
        text.push_str(&format!(
            "{{\"{name}_id\": {number}, \"text\": \"{}\"}}\n",
            value.trim_end()
        ));
    }
    text
}

/// Chinese characters without blanks.
#[must_use]
pub fn chinese(size: usize, chance: &mut Chance) -> String {
    let characters: Vec<char> = HAN.chars().collect();
    (0..size / 3)
        .map(|_| characters[chance.below(characters.len())])
        .collect()
}

/// One unbroken run of random letters, the worst input that is known.
#[must_use]
pub fn letters(size: usize, chance: &mut Chance) -> String {
    (0..size)
        .map(|_| char::from(b'a' + u8::try_from(chance.below(26)).unwrap_or(0)))
        .collect()
}
