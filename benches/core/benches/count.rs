//! How fast is a count, of a text that is new and of one that was counted a moment ago? The questions of
//! `retold bench tokens`, without Python.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use retold_benches::{Chance, chinese, english, json, letters};
use retold_tokens::{Builtin, Encoding};

type Texts = fn(usize, &mut Chance) -> String;

const KINDS: [(&str, Texts); 4] = [
    ("english", english),
    ("json", json),
    ("chinese", chinese),
    ("letters", letters),
];
const SIZE: usize = 200_000;

fn counts(criterion: &mut Criterion) {
    let encoding = Encoding::builtin(Builtin::O200kBase).expect("a built-in vocabulary is whole");
    let mut chance = Chance::new(7);
    for (kind, texts) in KINDS {
        let mut group = criterion.benchmark_group(kind);
        group.throughput(Throughput::Bytes(SIZE as u64));
        group.bench_function("fresh", |bencher| {
            bencher.iter_batched(
                || texts(SIZE, &mut chance),
                |text| black_box(encoding.count(&text)),
                BatchSize::LargeInput,
            );
        });
        let text = texts(SIZE, &mut chance);
        group.bench_function("replay", |bencher| {
            bencher.iter(|| black_box(encoding.count(black_box(&text))))
        });
        group.finish();
    }
}

fn quick() -> Criterion {
    Criterion::default().sample_size(20)
}

criterion_group!(name = benches; config = quick(); targets = counts);
criterion_main!(benches);
