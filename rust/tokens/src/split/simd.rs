//! The same classes with the vector instructions of the machine, where it has them.
//!
//! The one module of the crate with `unsafe`: to call a function that is compiled for instructions which not every
//! processor has. Nothing here touches memory through a pointer; the instructions themselves are safe to use inside.
#![allow(unsafe_code, reason = "see above; each use says why it is sound")]

use super::masks::{self, Masks, WINDOW};

/// How windows are classified on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Eight bytes at a time, everywhere.
    Scalar,
    /// 32 bytes at a time.
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Level {
    /// Return the best that this machine has.
    #[inline]
    pub(crate) fn of_this_machine() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("lzcnt")
        {
            return Self::Avx2;
        }
        Self::Scalar
    }

    /// Run `work`, which classifies windows with what it is given; compiled for the level as a whole.
    #[inline]
    pub(crate) fn run<W: Work>(self, work: W) -> W::Output {
        match self {
            Self::Scalar => work.run(masks::classify),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a level of Avx2 is made only by `of_this_machine`, after the processor said that it has the
            // instruction sets that `run_avx2` is compiled for.
            Self::Avx2 => unsafe { run_avx2(work) },
        }
    }
}

/// Something to do with a classifier of windows. `run` is to be `#[inline(always)]`, so that it is compiled anew for
/// each level.
pub(crate) trait Work {
    type Output;

    fn run(self, classify: impl Fn(&[u8; WINDOW]) -> Masks) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn run_avx2<W: Work>(work: W) -> W::Output {
    work.run(|window| classify_avx2(window))
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "avx2")]
fn classify_avx2(window: &[u8; WINDOW]) -> Masks {
    use std::arch::x86_64::{
        __m256i, _mm256_and_si256, _mm256_movemask_epi8, _mm256_set_epi64x, _mm256_shuffle_epi8, _mm256_slli_epi16,
        _mm256_srli_epi16, _mm256_testz_si256,
    };

    use masks::{HIGH, LOW};

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(bytes: &[u8; 32]) -> __m256i {
        let (words, _) = bytes.as_chunks::<8>();
        let [a, b, c, d] = [0, 1, 2, 3].map(|at| words.get(at).copied().map_or(0, i64::from_le_bytes));
        _mm256_set_epi64x(d, c, b, a)
    }

    /// Make a table of sixteen entries for both halves of a vector.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn table(entries: &[u8; 16]) -> __m256i {
        let (words, _) = entries.as_chunks::<8>();
        let [a, b] = [0, 1].map(|at| words.get(at).copied().map_or(0, i64::from_le_bytes));
        _mm256_set_epi64x(b, a, b, a)
    }

    let (low_table, high_table) = (table(&LOW), table(&HIGH));
    let nibble =
        _mm256_set_epi64x(0x0f0f_0f0f_0f0f_0f0f, 0x0f0f_0f0f_0f0f_0f0f, 0x0f0f_0f0f_0f0f_0f0f, 0x0f0f_0f0f_0f0f_0f0f);
    let mut result = Masks::default();
    let (halves, _) = window.as_chunks::<32>();
    for (half, shift) in halves.iter().zip([0, 32]) {
        let raw = load(half);
        // Zeros are in no class: the half of a short text's window that nothing lies in costs nothing.
        if _mm256_testz_si256(raw, raw) == 1 {
            continue;
        }
        // A byte beyond ASCII has its highest bit set, for which the shuffle gives 0: no class.
        let low = _mm256_shuffle_epi8(low_table, raw);
        let high = _mm256_shuffle_epi8(high_table, _mm256_and_si256(_mm256_srli_epi16::<4>(raw), nibble));
        let classes = _mm256_and_si256(low, high);
        let top = |vector: __m256i| u64::from(_mm256_movemask_epi8(vector).cast_unsigned()) << shift;
        let letter = top(_mm256_slli_epi16::<7>(classes)) | top(_mm256_slli_epi16::<6>(classes));
        let blank = top(_mm256_slli_epi16::<4>(classes));
        let newline = top(_mm256_slli_epi16::<2>(classes));
        result.letter |= letter;
        result.lower |= letter & top(_mm256_slli_epi16::<2>(raw));
        result.digit |= top(_mm256_slli_epi16::<5>(classes));
        result.blank |= blank;
        result.space |= blank | top(_mm256_slli_epi16::<3>(classes)) | newline;
        result.newline |= newline;
        result.apostrophe |= top(_mm256_slli_epi16::<1>(classes));
        result.slash |= top(classes);
        result.high |= top(raw);
    }
    result
}

#[cfg(test)]
#[path = "simd_tests.rs"]
mod tests;
