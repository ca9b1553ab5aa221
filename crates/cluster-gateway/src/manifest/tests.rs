//! Text in, documents out.

use serde_json::json;

use super::*;

fn documents(text: &str) -> Vec<Document<'_>> {
    Document::all("f.yaml", text).unwrap()
}

#[test]
fn documents_are_separated_where_yaml_separates_them() {
    for (text, expected) in [
        ("", vec![]),
        ("# nothing\n---\n\n---\n", vec![]),
        ("a: 1\n", vec![json!({"a": 1})]),
        ("\u{feff}a: 1", vec![json!({"a": 1})]),
        ("%YAML 1.2\n---\na: 1\n...\n---\nb: 2\n", vec![json!({"a": 1}), json!({"b": 2})]),
        ("--- {a: 1}\n--- # two\nb: 2\n", vec![json!({"a": 1}), json!({"b": 2})]),
        ("a: |\n  ---\n  x\n---\r\nb: 2\r\n", vec![json!({"a": "---\nx\n"}), json!({"b": 2})]),
        ("a: ---x\n", vec![json!({"a": "---x"})]),
        ("{\"a\": [1, null]}", vec![json!({"a": [1, null]})]),
    ] {
        let read: Vec<_> = documents(text).iter().map(|document| document.value().unwrap()).collect();
        assert_eq!(read, expected, "{text:?}");
    }
}

#[test]
fn a_problem_names_file_line_and_document() {
    let text = "a: 1\n---\n# comment\n\nb: [1\nc: 2\n---\nd: 1\nd: 2\n";
    let read = documents(text);
    let syntax = read[1].value().unwrap_err();
    assert_eq!((syntax.file.as_str(), syntax.document), ("f.yaml", Some(2)));
    assert!(matches!(syntax.line, Some(5 | 6)), "{syntax}");
    assert!(syntax.reason.contains("':'") && !syntax.reason.contains('\\'), "{syntax}");
    let twice = read[2].value().unwrap_err();
    assert_eq!(twice.to_string(), "f.yaml:9: document 3: a key stands twice in one mapping");
    assert_eq!(read[1].problem("odd").to_string(), "f.yaml:5: document 2: odd");
    assert_eq!(Problem::of_file("f", "gone").to_string(), "f: gone");

    let json = Document::all("f.json", "{\n\"a\": }").unwrap()[0].value().unwrap_err();
    assert_eq!(json.to_string(), "f.json:2: document 1: expected value");
}

#[test]
fn typed_documents_are_refused_at_the_line_of_the_unknown_field() {
    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Known {
        #[serde(rename = "known")]
        _known: u8,
    }
    let problem = documents("x: 1\n---\nknown: 1\nunknown: 2\n")[1].read::<Known>().unwrap_err();
    assert_eq!(problem.line, Some(4), "{problem}");
    assert!(problem.reason.contains("unknown"), "{problem}");
    let json =
        Document::all("f.json", "{\"known\": 1,\n \"more\": 2}").unwrap()[0].read::<Known>().unwrap_err();
    assert!(json.line == Some(2) && json.reason.contains("more"), "{json}");
}

#[test]
fn rule_181_no_message_about_plain_data_repeats_it() {
    for text in [
        "token: hunter2\ntoken: hunter2\n",
        "token: \"hunter2\n",
        "token: *hunter2\n",
        "token: !!int hunter2\n",
        "hunter2: [\n",
        "token: 'hunter2' hunter2\n",
        "hunter2:\n- a\n b\n",
        "\thunter2: 1",
        "? hunter2\nhunter2\n",
        "token: !hunter2 {a: b}\n<<: hunter2\n",
        "token: \"\\q hunter2\"\n",
    ] {
        for file in ["f.yaml", "f.json"] {
            let Err(problem) = Document::all(file, text).unwrap()[0].value() else { continue };
            assert!(!problem.to_string().contains("hunter2"), "{problem}");
        }
    }
    let value = json!({"token": 123456, "data": "hunter2", "list": {"hunter2": 1}, "flag": "hunter2"});
    let fields = Fields::of(&value, "spec").unwrap();
    let messages = [
        fields.text("token").unwrap_err(),
        fields.fields("data").unwrap_err(),
        fields.list("list").unwrap_err(),
        fields.flag("flag").unwrap_err(),
        Fields::of(&json!("hunter2"), "").unwrap_err(),
    ];
    assert_eq!(messages[0], "spec.token: expected a string (quote numbers and true/false)");
    for message in messages {
        assert!(!message.contains("hunter2") && !message.contains("123456"), "{message}");
    }
    assert!(!format!("{fields:?}").contains("hunter2"));
}

#[test]
fn bombs_are_refused() {
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..9 {
        let before = level - 1;
        let aliases = vec![format!("*a{before}"); 10].join(",");
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    assert!(documents(&bomb)[0].value().is_err());
    let deep = "[".repeat(100_000);
    assert!(documents(&deep)[0].value().is_err());
    let many = "---\na: 1\n".repeat(MAX_DOCUMENTS + 1);
    assert!(Document::all("f.yaml", &many).unwrap_err().reason.contains("more than"));
}
