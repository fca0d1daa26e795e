//! What does it cost to know the exact count after each append, and to ask for a part of the text? The questions of
//! `retold bench append`, without Python.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use retold_benches::{Chance, english};
use retold_tokens::{Builtin, Counter, Encoding};

const SIZE: usize = 100_000;

fn grown(encoding: &Encoding, text: &str, delta: usize) -> Counter {
    let mut counter = encoding.counter();
    let mut start = 0;
    while start < text.len() {
        let end = (start + delta).min(text.len());
        black_box(counter.append(&text[start..end])).expect("it was counted before");
        start = end;
    }
    counter
}

fn appends(criterion: &mut Criterion) {
    let encoding = Encoding::builtin(Builtin::O200kBase).expect("a built-in vocabulary is whole");
    let text = english(SIZE, &mut Chance::new(7));
    for delta in [4, 16, 64] {
        let mut group = criterion.benchmark_group(format!("append {delta} bytes"));
        group.throughput(Throughput::Elements((SIZE / delta) as u64));
        group.bench_function("100 KB", |bencher| {
            bencher.iter(|| grown(&encoding, &text, delta).total())
        });
        group.finish();
    }
    let counter = grown(&encoding, &text, 16);
    let mut chance = Chance::new(11);
    criterion.bench_function("span", |bencher| {
        bencher.iter_batched(
            || chance.below(SIZE / 2),
            |start| black_box(counter.span(start, start + SIZE / 2)),
            BatchSize::SmallInput,
        );
    });
}

fn quick() -> Criterion {
    Criterion::default().sample_size(20)
}

criterion_group!(name = benches; config = quick(); targets = appends);
criterion_main!(benches);
