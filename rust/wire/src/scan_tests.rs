//! What a scan gives, and what it leaves out.

use super::*;
use crate::packing::Packer;
use crate::{Draft, Place, event};

fn packing() -> Packing {
    Packing { words: b"words".to_vec(), from_bytes: 16, bytes_max: 1000 }
}

fn message(subject: &str, number: u64, seq: u64, body: &[u8]) -> Vec<u8> {
    message_with("", subject, number, seq, body)
}

fn message_with(header: &str, subject: &str, number: u64, seq: u64, body: &[u8]) -> Vec<u8> {
    let block = format!("NATS/1.0\r\nRetold-Seq: {seq}\r\n{header}\r\n");
    let reply = format!("$JS.ACK.S.C.1.{}.{number}.0.{}", number * 10, 9 - number);
    let sizes = format!("HMSG {subject} 1 {reply} {} {}\r\n", block.len(), block.len() + body.len());
    [sizes.as_bytes(), block.as_bytes(), body, b"\r\n"].concat()
}

fn bodies(session: &str, number: u64) -> Vec<Vec<u8>> {
    let draft = Draft::read(br#"{"id":"a","at":"t","actor":"x","data":{"b":1},"cause":null}"#).unwrap();
    let mut prev = GENESIS;
    let write = |seq| {
        let mut body = Vec::new();
        event(&draft, &Place { version: 1, tenant: "t", session, seq, prev: &prev, kind: "K" }, &mut body);
        prev = hash(&body);
        body
    };
    (1..=number).map(write).collect()
}

fn scanned(messages: &[Vec<u8>]) -> Events {
    let mut scan = Scan::new(1, vec!["J".into(), "K".into()], packing());
    scan.receive(&messages.concat());
    assert_eq!((scan.delivered(), scan.is_broken()), (messages.len() as u64, false));
    assert_eq!(scan.pending(), Some(9 - messages.len() as u64));
    assert_eq!(scan.position(), messages.len() as u64 * 10);
    scan.give()
}

#[test]
fn sessions_are_given_in_the_streams_order() {
    let (a, b) = (bodies("a", 2), bodies("b", 1));
    let events =
        scanned(&[message("e.1.t.a", 1, 1, &a[0]), message("e.2.t.b", 2, 1, &b[0]), message("e.1.t.a", 3, 2, &a[1])]);
    assert_eq!(events.text, [a[0].as_slice(), &b[0], &a[1], b""].join(&b'\n'));
    assert!(events.odd.is_empty());
    let told: Vec<_> = events.found.iter().map(|one| (one.session, one.seq, one.kind, one.hash)).collect();
    assert_eq!(told, [(0, 1, 1, hash(&a[0])), (1, 1, 1, hash(&b[0])), (0, 2, 1, hash(&a[1]))]);
    let last = &events.found[2];
    assert_eq!((&a[1][last.at.clone()], &a[1][last.data.clone()]), (br#""t""#.as_slice(), br#"{"b":1}"#.as_slice()));
}

#[test]
fn a_session_is_left_out_from_its_first_odd_event_on() {
    let (a, b) = (bodies("a", 3), bodies("b", 3));
    let mut changed = a[1].clone();
    let at = changed.len() - 3;
    changed[at] = b'2';
    for (seq, body) in [(3, &a[2]), (3, &a[1]), (2, &b[1]), (2, &changed[1..].to_vec()), (2, &a[0])] {
        let events = scanned(&[
            message("e.1.t.a", 1, 1, &a[0]),
            message("e.1.t.a", 2, seq, body),
            message("e.1.t.a", 3, 2, &a[1]),
            message("e.2.t.b", 4, 1, &b[0]),
        ]);
        assert_eq!((events.found.len(), events.odd), (2, vec![("e.1.t.a".into(), 1)]));
    }
    let events = scanned(&[
        message("e.1.t.a", 1, 1, &a[0]),
        message("e.1.t.a", 2, 2, &changed),
        message("e.1.t.a", 3, 3, &a[2]),
    ]);
    assert_eq!(events.odd, [("e.1.t.a".into(), 2)], "the chain tells what was changed");
}

#[test]
fn a_packed_event_is_given_as_it_was() {
    let a = bodies("a", 2);
    let packed = Packer::new(packing()).pack(&a[1]).unwrap().to_vec();
    let first = message("e.1.t.a", 1, 1, &a[0]);
    let second = |how, body| message_with(&format!("Retold-Packed: {how}\r\n"), "e.1.t.a", 2, 2, body);
    let events = scanned(&[first.clone(), second("deflate-1", &packed)]);
    assert_eq!(events.text, [a[0].as_slice(), &a[1], b""].join(&b'\n'));
    for odd in [second("deflate-2", &packed), second("deflate-1", &packed[1..]), second("deflate-1", &a[1])] {
        assert_eq!(scanned(&[first.clone(), odd]).odd, [("e.1.t.a".into(), 1)]);
    }
}

#[test]
fn what_is_held_unpacked_is_bounded() {
    let a = bodies("a", 9);
    let mut packer = Packer::new(packing());
    let messages = a.iter().zip(1..).map(|(body, seq)| {
        message_with("Retold-Packed: deflate-1\r\n", "e.1.t.a", seq, seq, packer.pack(body).unwrap())
    });
    let events = scanned(&messages.collect::<Vec<_>>());
    let given = events.found.len();
    assert!((1000..1000 + a[0].len() + 2).contains(&events.text.len()), "{}", events.text.len());
    assert_eq!(events.odd, [("e.1.t.a".into(), given as u64)]);
}

#[test]
fn a_sealed_event_is_odd() {
    let draft = Draft::read(br#"{"id":"a","at":"t","actor":"x","data":{"sealed":{}},"cause":null}"#).unwrap();
    let mut body = Vec::new();
    event(&draft, &Place { version: 1, tenant: "t", session: "a", seq: 1, prev: &GENESIS, kind: "K" }, &mut body);
    let events = scanned(&[message("e.1.t.a", 1, 1, &body)]);
    assert_eq!((events.found.len(), events.odd), (0, vec![("e.1.t.a".into(), 0)]));
}

#[test]
fn a_lost_delivery_is_noticed() {
    let a = bodies("a", 3);
    let beat = |last: u64| {
        let block = format!("NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: {last}\r\n\r\n");
        format!("HMSG d 1 {} {}\r\n{block}\r\n", block.len(), block.len()).into_bytes()
    };
    let first = message("e.1.t.a", 1, 1, &a[0]);
    for (next, is_broken) in
        [(beat(1), false), (beat(2), true), (message("e.1.t.a", 3, 3, &a[2]), true), (first.clone(), true)]
    {
        let mut scan = Scan::new(1, vec!["K".into()], packing());
        scan.receive(&[first.clone(), next].concat());
        assert_eq!((scan.is_broken(), scan.give().found.len()), (is_broken, 1));
    }
}

#[test]
fn a_pull_that_ends_early_says_so() {
    let mut scan = Scan::new(1, vec![], packing());
    let block = "NATS/1.0 408 Request Timeout\r\n\r\n";
    scan.receive(format!("HMSG d 1 {} {}\r\n{block}\r\n", block.len(), block.len()).as_bytes());
    assert_eq!((scan.status(), scan.delivered()), (Some(408), 0));
}

#[test]
fn a_live_scan_gives_what_follows_where_a_session_is_said_to_stand() {
    let (a, b) = (bodies("a", 5), bodies("b", 2));
    let mut scan = Scan::live(1, vec!["J".into(), "K".into()], packing());
    scan.receive(&message("e.1.t.a", 1, 1, &a[0]));
    let unknown = scan.give();
    assert!(unknown.found.is_empty(), "nobody follows it");
    assert_eq!(unknown.ends, [("e.1.t.a".into(), 1, 10)]);
    scan.follow("e.1.t.a", 3, &hash(&a[2]));
    scan.receive(&[message("e.1.t.a", 2, 2, &a[1]), message("e.1.t.a", 3, 3, &a[2])].concat());
    assert_eq!(scan.give(), Events::default(), "what is known is passed over");
    scan.receive(&[message("e.1.t.a", 4, 4, &a[3]), message("e.2.t.b", 5, 1, &b[0])].concat());
    let given = scan.give();
    assert_eq!(given.found.iter().map(|one| one.seq).collect::<Vec<_>>(), [4]);
    assert_eq!(given.ends, [("e.1.t.a".into(), 4, 40), ("e.2.t.b".into(), 1, 50)]);
    scan.follow("e.1.t.a", 2, &hash(&a[1]));
    scan.receive(&message("e.1.t.a", 6, 5, &a[4]));
    assert_eq!(scan.give().found.len(), 1, "it was further than that");
    scan.leave("e.1.t.a");
    scan.receive(&message("e.1.t.a", 7, 6, &a[4]));
    assert_eq!(scan.give().ends, [("e.1.t.a".into(), 6, 70)]);
    scan.follow("e.2.t.b", 1, &GENESIS);
    scan.receive(&message("e.2.t.b", 8, 2, &b[1]));
    let given = scan.give();
    assert_eq!((given.found.len(), given.odd), (0, vec![("e.2.t.b".into(), 1)]), "it does not follow");
    assert_eq!(given.ends, [("e.2.t.b".into(), 2, 80)]);
}
