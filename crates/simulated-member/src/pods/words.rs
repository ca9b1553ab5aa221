//! A line of the shell, cut into commands and words.

/// What stands between a command and the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    /// The next runs in any case.
    Always,
    /// The next runs if this one succeeds.
    And,
    /// The next runs if this one fails.
    Or,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) words: Vec<Word>,
    /// Whether its output goes to standard error.
    pub(super) to_stderr: bool,
    pub(super) joint: Joint,
}

/// A word: texts and the names of variables, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Word(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(char),
    Variable(String),
}

impl Word {
    /// The word with the values of its variables.
    pub(super) fn expand(&self, variable: impl Fn(&str) -> String) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(one) => text.push(*one),
                Piece::Variable(name) => text.push_str(&variable(name)),
            }
        }
        text
    }

    fn push(&mut self, one: char) {
        self.0.push(Piece::Text(one));
    }
}

/// Cuts a script.
pub(super) fn cut(script: &str) -> Result<Vec<Command>, &'static str> {
    let mut cutter = Cutter { rest: script.chars().collect(), at: 0 };
    let mut commands = Vec::new();
    while let Some(command) = cutter.command()? {
        if !command.words.is_empty() {
            commands.push(command);
        }
    }
    Ok(commands)
}

struct Cutter {
    rest: Vec<char>,
    at: usize,
}

impl Cutter {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(index, one)| self.rest.get(self.at + index) == Some(&one));
        self.at += if found { text.chars().count() } else { 0 };
        found
    }

    fn command(&mut self) -> Result<Option<Command>, &'static str> {
        let mut command = Command { words: Vec::new(), to_stderr: false, joint: Joint::Always };
        loop {
            let Some(next) = self.peek() else {
                return Ok((!command.words.is_empty()).then_some(command));
            };
            if next == ' ' || next == '\t' {
                self.at += 1;
            } else if self.eat("&&") {
                command.joint = Joint::And;
                return Ok(Some(command));
            } else if self.eat("||") {
                command.joint = Joint::Or;
                return Ok(Some(command));
            } else if self.eat(";") || self.eat("\n") {
                return Ok(Some(command));
            } else if self.eat(">&2") || self.eat("1>&2") {
                command.to_stderr = true;
            } else if matches!(next, '|' | '&' | '<' | '>' | '(' | ')' | '`') {
                return Err("this shell knows no pipes, jobs, files or subshells");
            } else {
                let word = self.word()?;
                command.words.push(word);
            }
        }
    }

    fn word(&mut self) -> Result<Word, &'static str> {
        let mut word = Word::default();
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' | '\n' | ';' | '|' | '&' | '<' | '>' | '(' | ')' | '`' => break,
                '\'' => {
                    self.at += 1;
                    self.until_quote()?.into_iter().for_each(|one| word.push(one));
                }
                '"' => {
                    self.at += 1;
                    self.quoted(&mut word)?;
                }
                '\\' => {
                    self.at += 1;
                    self.peek().into_iter().for_each(|one| word.push(one));
                    self.at += 1;
                }
                '$' => word.0.push(self.variable()),
                other => {
                    word.push(other);
                    self.at += 1;
                }
            }
        }
        Ok(word)
    }

    fn until_quote(&mut self) -> Result<Vec<char>, &'static str> {
        let rest = &self.rest[self.at..];
        let end = rest.iter().position(|one| *one == '\'').ok_or("unterminated quoted string")?;
        let quoted = rest[..end].to_vec();
        self.at += end + 1;
        Ok(quoted)
    }

    fn quoted(&mut self, word: &mut Word) -> Result<(), &'static str> {
        loop {
            match self.peek().ok_or("unterminated quoted string")? {
                '"' => {
                    self.at += 1;
                    return Ok(());
                }
                '$' => word.0.push(self.variable()),
                '\\' if matches!(self.rest.get(self.at + 1), Some('"' | '\\' | '$')) => {
                    word.push(self.rest[self.at + 1]);
                    self.at += 2;
                }
                other => {
                    word.push(other);
                    self.at += 1;
                }
            }
        }
    }

    /// The variable that begins here, or the dollar alone.
    fn variable(&mut self) -> Piece {
        self.at += 1;
        if self.eat("?") {
            return Piece::Variable("?".to_owned());
        }
        let braces = self.eat("{");
        let rest = &self.rest[self.at..];
        let end =
            rest.iter().position(|one| !one.is_ascii_alphanumeric() && *one != '_').unwrap_or(rest.len());
        let name: String = rest[..end].iter().collect();
        self.at += end;
        if braces {
            self.eat("}");
        }
        if name.is_empty() { Piece::Text('$') } else { Piece::Variable(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(script: &str) -> Vec<Vec<String>> {
        let variable = |name: &str| format!("<{name}>");
        let commands = cut(script).unwrap();
        commands
            .iter()
            .map(|command| command.words.iter().map(|word| word.expand(variable)).collect())
            .collect()
    }

    #[test]
    fn words_are_cut_and_quotes_keep_them_together() {
        assert_eq!(words("echo a  b"), [["echo", "a", "b"]]);
        assert_eq!(words(r#"echo 'a  $B' "c  $D" e\ f"#), [["echo", "a  $B", "c  <D>", "e f"]]);
        assert_eq!(words(r#"echo x"y"'z' """#), [["echo", "xyz", ""]]);
        assert_eq!(words("echo $A${B}c $? $"), [["echo", "<A><B>c", "<?>", "$"]]);
        assert_eq!(words(r#"echo "a\"b\n""#), [["echo", r#"a"b\n"#]]);
        assert!(words("  ; \n ;").is_empty());
    }

    #[test]
    fn commands_are_joined() {
        let commands = cut("a && b || c; d >&2\ne").unwrap();
        let joints: Vec<Joint> = commands.iter().map(|command| command.joint).collect();
        assert_eq!(joints, [Joint::And, Joint::Or, Joint::Always, Joint::Always, Joint::Always]);
        assert_eq!(
            commands.iter().map(|command| command.to_stderr).collect::<Vec<_>>(),
            [false, false, false, true, false]
        );
    }

    #[test]
    fn what_the_shell_does_not_know_is_an_error() {
        for script in ["a | b", "a & b", "a > b", "(a)", "`a`", "echo 'a", "echo \"a"] {
            assert!(cut(script).is_err(), "{script}");
        }
    }
}
