use super::super::graph::{Graph, Node};
use super::super::machine::MAX_STEPS;
use super::parse;

fn root(bytes: &[u8]) -> (Graph, u32) {
    let (graph, used) = parse(bytes).unwrap();
    assert_eq!(used, bytes.len());
    let root = graph.root;
    (graph, root)
}

fn flaw(bytes: &[u8]) -> String {
    parse(bytes).unwrap_err().to_string()
}

#[test]
fn integers_of_every_width_and_sign() {
    for (bytes, expected) in [
        (&b"K\xff."[..], 255),
        (b"M\x01\x02.", 513),
        (b"J\xff\xff\xff\xff.", -1),
        (b"\x8a\x00.", 0),
        (b"\x8a\x01\x80.", -128),
        (b"\x8a\x02\x80\x00.", 128),
        (b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", i64::MAX),
        (b"I-7\n.", -7),
        (b"L12L\n.", 12),
    ] {
        let (graph, id) = root(bytes);
        assert!(
            matches!(graph.node(id), Node::Int(v) if *v == expected),
            "{bytes:?}"
        );
    }
    assert!(matches!(root(b"I01\n.").0.node(0), Node::Bool(true)));
    assert!(matches!(
        root(b"\x8a\x09\0\0\0\0\0\0\0\0\x01.").0.node(0),
        Node::Long(_)
    ));
}

#[test]
fn a_call_is_kept_as_a_value_and_not_made() {
    let (graph, id) =
        root(b"cos\nsystem\nX\x04\0\0\0true\x85R0cos\nsystem\nX\x05\0\0\0false\x85R.");
    let Node::Object(object) = graph.node(id) else {
        panic!("not an object")
    };
    assert_eq!(graph.class(id).as_deref(), Some("os.system"));
    assert_eq!(
        graph.text(graph.tuple(object.args).unwrap()[0]),
        Some("false")
    );
}

#[test]
fn shared_and_cyclic_values_cost_their_references_only() {
    // Each list holds the one before twice: 2^60 leaves, were they copied.
    let mut bytes = b"]q\0".to_vec();
    for level in 1..=60u8 {
        bytes.extend([
            b']',
            b'q',
            level,
            b'(',
            b'h',
            level - 1,
            b'h',
            level - 1,
            b'e',
        ]);
    }
    bytes.push(b'.');
    assert_eq!(root(&bytes).0.nodes().len(), 61);
    // A list that holds itself.
    let (graph, id) = root(b"]q\0h\0a.");
    assert!(matches!(graph.node(id), Node::List(items) if items == &[id]));
}

#[test]
fn deep_nesting_does_not_recurse() {
    let depth = 1_000_000;
    let mut bytes = vec![b'N'; 1];
    bytes.extend(std::iter::repeat_n(0x85, depth));
    bytes.push(b'.');
    assert_eq!(root(&bytes).0.nodes().len(), depth + 1);
}

#[test]
fn steps_and_copies_are_bounded() {
    let mut bytes = vec![b']'; MAX_STEPS + 1];
    bytes.push(b'.');
    assert!(flaw(&bytes).contains("steps"), "{}", flaw(&bytes));
    // Counter(d) copies d: a thousand entries, ten thousand times over.
    let mut bytes = b"}q\0(".to_vec();
    (0..1000).for_each(|_| bytes.extend(b"NN"));
    bytes.extend(b"u0");
    (0..10_000).for_each(|_| bytes.extend(b"ccollections\nCounter\nh\0\x85R0"));
    bytes.extend(b"N.");
    assert!(flaw(&bytes).contains("steps"));
}

#[test]
fn lengths_past_the_end_are_refused_without_allocating() {
    for bytes in [
        &b"X\xff\xff\xff\xffabc."[..],
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.",
        b"B\xff\xff\xff\xff",
        b"\x8b\xff\xff\xff\x7f",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
        b"cos",
        b"",
        b"\x80",
    ] {
        assert!(flaw(bytes).contains("ends"), "{bytes:?}: {}", flaw(bytes));
    }
}

#[test]
fn misuse_of_the_stack_is_an_error() {
    for (bytes, expected) in [
        (&b"."[..], "empty stack"),
        (b"0.", "empty stack"),
        (b"N(.", "empty stack"),
        (b"N(R.", "empty stack"),
        (b"e.", "not begun"),
        (b"Nh\x05.", "memo 5"),
        (b"N(NNe.", "not a list"),
        (b"N(NNu.", "not a dictionary"),
        (b"}(Nu.", "without a value"),
        (b"NN\x93.", "not text"),
        (b"(o.", "no class"),
        (b"\x80\x06.", "protocol 6"),
        (b"\x82\x01.", "extension"),
        (b"\x97.", "buffers"),
        (b"\xffN.", "0xff at byte 0"),
        (b"Ix\n.", "malformed integer"),
    ] {
        assert!(flaw(bytes).contains(expected), "{bytes:?}: {}", flaw(bytes));
    }
}

#[test]
fn the_python_2_form_of_an_ordered_dictionary_keeps_its_entries() {
    let (graph, id) = root(b"ccollections\nOrderedDict\n((l(lU\x01aaK\x01aatR.");
    assert_eq!(graph.entries(id).unwrap().len(), 1);
    assert!(matches!(
        graph.node(graph.get(id, "a").unwrap()),
        Node::Int(1)
    ));
}

#[test]
fn protocol_0_text_and_sets_are_read() {
    let (graph, id) = root(b"(dp0\nS'a b'\nVc\\u00e9\ns.");
    assert_eq!(graph.text(graph.get(id, "a b").unwrap()), Some("cé"));
    assert!(matches!(root(b"\x8f(K\x01K\x02\x90.").0.node(0), Node::Set));
}
