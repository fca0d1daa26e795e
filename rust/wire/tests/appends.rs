//! Appends to many sessions, against a server that is played here.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]
#![allow(clippy::arithmetic_side_effects, reason = "small numbers")]

use proptest::prelude::*;
use retold_wire::{Appends, Frame, Lane, LaneEnd, Limits, Packing, Unpacker, first_frame};

const LIMITS: Limits = Limits { body_bytes: 1000, append_bytes: 5000, appends: 4, batches: 2, bytes: 1_000_000 };

fn packing() -> Packing {
    Packing { words: b"words".to_vec(), from_bytes: 300, bytes_max: 10_000 }
}

fn lane(session: usize, appends: &[usize]) -> Lane {
    Lane {
        subject: format!("ev.{session}"),
        tenant: "t".into(),
        session: session.to_string(),
        seq: 0,
        hash: [b'0'; 64],
        position: 0,
        appends: appends.to_vec(),
    }
}

fn drafts(count: usize, text: &str) -> (Vec<u8>, Vec<u8>) {
    let line = |id| {
        format!("{{\"id\":\"d{id}\",\"at\":\"t\",\"actor\":\"a\",\"data\":{{\"x\":\"{text}\"}},\"cause\":null}}\n")
    };
    ((0..count).map(line).collect::<String>().into_bytes(), vec![0; count])
}

fn loaded(lanes: Vec<Lane>, text: &str) -> Appends {
    let count = lanes.iter().flat_map(|lane| &lane.appends).sum();
    let (text, kinds) = drafts(count, text);
    let mut appends = Appends::new("r", "b", 1, vec!["K".into()], LIMITS, packing());
    appends.load(&text, &kinds, lanes);
    appends
}

/// What was published: subject, reply, headers and body.
fn published(sent: &[u8]) -> Vec<(String, String, String, String)> {
    let mut text = std::str::from_utf8(sent).unwrap();
    let mut all = Vec::new();
    while let Some((line, rest)) = text.split_once("\r\n") {
        let words: Vec<&str> = line.split(' ').collect();
        let (block, total): (usize, usize) =
            (words[words.len() - 2].parse().unwrap(), words[words.len() - 1].parse().unwrap());
        let reply = if words.len() == 5 { words[2] } else { "" };
        all.push((words[1].into(), reply.into(), rest[..block].into(), rest[block..total].into()));
        text = &rest[total + 2..];
    }
    all
}

fn answer(reply: &str, payload: &str) -> Vec<u8> {
    format!("MSG {reply} 1 {}\r\n{payload}\r\n", payload.len()).into_bytes()
}

fn header<'a>(block: &'a str, name: &str) -> Option<&'a str> {
    block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    /// Whatever the lanes and in whichever order the server answers, each session gets its events in order, each
    /// naming where the one before was stored, and never more is under way than the limits say.
    #[test]
    fn every_lane_is_appended_in_order(shape in prop::collection::vec(prop::collection::vec(1_usize..4, 0..5), 1..9), picks in prop::collection::vec(any::<prop::sample::Index>(), 200)) {
        let lanes: Vec<Lane> = shape.iter().enumerate().map(|(at, appends)| lane(at, appends)).collect();
        let mut appends = loaded(lanes, "text");
        let (mut position, mut last, mut seqs) = (0_u64, vec![0_u64; shape.len()], vec![0_u64; shape.len()]);
        let mut open: Vec<(String, usize, u64)> = Vec::new();
        let mut picks = picks.into_iter();
        let mut sent = appends.send();
        loop {
            let mut events = 0;
            for (subject, reply, block, body) in published(&sent) {
                let session: usize = subject.strip_prefix("ev.").unwrap().parse().unwrap();
                seqs[session] += 1;
                events += 1;
                let seq = seqs[session];
                let number = seq.to_string();
                prop_assert_eq!(header(&block, "Retold-Seq"), Some(number.as_str()));
                let named = format!("\"seq\":{seq},");
                prop_assert!(body.contains(&named));
                prop_assert_eq!(header(&block, "Nats-Expected-Last-Subject-Sequence").is_some(), events == 1);
                if events == 1 {
                    let expected = last[session].to_string();
                    prop_assert_eq!(header(&block, "Nats-Expected-Last-Subject-Sequence"), Some(expected.as_str()));
                }
                if !reply.is_empty() {
                    open.push((reply, session, events));
                    events = 0;
                }
            }
            prop_assert!(open.len() <= LIMITS.appends);
            prop_assert!(open.iter().filter(|one| one.2 > 1).count() <= LIMITS.batches);
            if open.is_empty() { break }
            let (reply, session, events) = open.swap_remove(picks.next().unwrap().index(open.len()));
            position += events;
            last[session] = position;
            sent = appends.receive(&answer(&reply, &format!("{{\"stream\":\"S\",\"seq\":{position}}}")));
        }
        prop_assert!(appends.is_over());
        for (end, (lane, seq)) in appends.ends().zip(shape.iter().zip(seqs)) {
            prop_assert_eq!((end.appended, end.seq), (lane.len(), seq));
            prop_assert_eq!(lane.iter().sum::<usize>() as u64, seq);
        }
    }
}

#[test]
fn a_lane_ends_at_the_first_answer_that_is_no_acknowledgement() {
    let mut appends = loaded(vec![lane(0, &[1, 1]), lane(1, &[1, 1])], "x");
    assert_eq!(published(&appends.send()).len(), 2);
    assert!(appends.receive(&answer("r0-0", r#"{"error":{"err_code":10071},"stream":"S","seq":0}"#)).is_empty());
    assert!(!published(&appends.receive(&answer("r1-0", r#"{"stream":"S","seq":5}"#))).is_empty());
    assert!(appends.receive(&answer("r1-0", r#"{"stream":"S","seq":6}"#)).is_empty(), "an answer that came twice");
    assert!(!appends.is_over());
    let _ = appends.receive(&answer("r1-1", r#"{"stream":"S","seq":7}"#));
    assert!(appends.is_over());
    let ends: Vec<(usize, u64, u64)> =
        appends.ends().map(|LaneEnd { appended, seq, position, .. }| (appended, seq, position)).collect();
    assert_eq!(ends, [(0, 0, 0), (2, 2, 7)]);
}

#[test]
fn an_event_that_is_too_large_is_not_sent_and_ends_its_lane() {
    let mut appends = loaded(vec![lane(0, &[1]), lane(1, &[2])], &"x".repeat(1000));
    assert!(appends.send().is_empty());
    assert!(appends.is_over());
    assert!(appends.ends().all(|end| end.appended == 0));
}

#[test]
fn what_is_sent_is_no_frame_of_the_server() {
    let mut appends = loaded(vec![lane(0, &[1])], "x");
    assert!(matches!(first_frame(&appends.send()), Some((Frame::Other, _))));
}

#[test]
fn a_long_event_is_sent_packed() {
    let text = "x".repeat(500);
    let mut appends = loaded(vec![lane(0, &[1]), lane(1, &[1])], &text);
    let sent = appends.send();
    let line = sent.split(|byte| *byte == b'\n').next().unwrap();
    let words: Vec<&str> = std::str::from_utf8(line).unwrap().trim_end().split(' ').collect();
    let (headers, total): (usize, usize) = (words[3].parse().unwrap(), words[4].parse().unwrap());
    let (block, stored) = sent[line.len() + 1..][..total].split_at(headers);
    assert_eq!(header(std::str::from_utf8(block).unwrap(), "Retold-Packed"), Some("deflate-1"));
    assert!(stored.len() < 400, "{}", stored.len());
    let body = Unpacker::new(packing()).unpack(stored).unwrap().to_vec();
    assert!(String::from_utf8(body.clone()).unwrap().contains(&text));
}
