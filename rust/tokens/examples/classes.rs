//! Writes the table of character classes that the splitter reads: `cargo run --example classes -- classes.bin`.
//!
//! The classes come from the Unicode tables of regex-syntax, the ones that tiktoken's regular expressions read.

use std::error::Error;

use regex_syntax::hir::{Class, HirKind};

/// The flags in the order of their bits, as `split/classes.rs` names them.
const CLASSES: [&str; 8] = [
    r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]",
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]",
    r"\p{L}",
    r"\p{N}",
    r"\s",
    r"[\r\n]",
    r"[^\s\p{L}\p{N}]",
    r"[^\r\n\p{L}\p{N}]",
];
const CODE_POINTS: usize = 0x11_0000;
const BLOCK_SIZE: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("expected the file to write")?;
    let mut flags = vec![0_u8; CODE_POINTS];
    for (bit, pattern) in CLASSES.iter().enumerate() {
        let HirKind::Class(Class::Unicode(class)) = regex_syntax::parse(pattern)?.into_kind() else {
            return Err("expected a class of characters".into());
        };
        for range in class.ranges() {
            let members = flags.get_mut(range.start() as usize..=range.end() as usize).ok_or("beyond Unicode")?;
            for flags in members {
                *flags |= 1 << bit;
            }
        }
    }
    let mut blocks: Vec<&[u8]> = Vec::new();
    let mut index = Vec::new();
    for block in flags.chunks(BLOCK_SIZE) {
        let known = blocks.iter().position(|known| *known == block);
        index.push(u8::try_from(known.unwrap_or(blocks.len()))?);
        if known.is_none() {
            blocks.push(block);
        }
    }
    std::fs::write(path, [index, blocks.concat()].concat())?;
    Ok(())
}
