//! JSON, written from left to right.

use core::fmt::Write;

/// A document being written. Whoever writes opens and closes in pairs, and names each value in an object.
#[derive(Debug, Default)]
pub struct Json {
    text: String,
    /// Whether the next value is the first of what was opened.
    first: bool,
}

impl Json {
    /// The text, with a line end and none before it.
    pub fn line(mut self) -> String {
        self.text.push('\n');
        self.text
    }

    /// An object, with what `fill` puts in.
    pub fn object(&mut self, fill: impl FnOnce(&mut Self)) {
        self.nest('{', '}', fill);
    }

    /// An array, with what `fill` puts in.
    pub fn array(&mut self, fill: impl FnOnce(&mut Self)) {
        self.nest('[', ']', fill);
    }

    fn nest(&mut self, open: char, close: char, fill: impl FnOnce(&mut Self)) {
        self.text.push(open);
        self.first = true;
        fill(self);
        self.first = false;
        self.text.push(close);
    }

    /// What comes next is one more value of the array.
    pub fn item(&mut self) -> &mut Self {
        if !core::mem::take(&mut self.first) {
            self.text.push(',');
        }
        self
    }

    /// What comes next is the value of this name in the object.
    pub fn key(&mut self, name: &str) -> &mut Self {
        self.item().string(name);
        self.text.push(':');
        self
    }

    /// A document that was written before.
    pub fn embed(&mut self, other: Self) {
        self.text.push_str(&other.text);
    }

    /// A number.
    pub fn number(&mut self, number: u64) {
        // To a string nothing can fail.
        let _ = write!(self.text, "{number}");
    }

    /// A number, or nothing.
    pub fn maybe(&mut self, number: Option<u64>) {
        match number {
            Some(number) => self.number(number),
            None => self.null(),
        }
    }

    /// A truth.
    pub fn truth(&mut self, truth: bool) {
        self.text.push_str(if truth { "true" } else { "false" });
    }

    /// Nothing.
    pub fn null(&mut self) {
        self.text.push_str("null");
    }

    /// A text.
    pub fn string(&mut self, text: &str) {
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.text.extend(['\\', c]),
                // Line ends among them: a document is one line. 0x7f to 0x9f may steer terminals, too.
                _ if c.is_control() => drop(write!(self.text, "\\u{:04x}", u32::from(c))),
                _ => self.text.push(c),
            }
        }
        self.text.push('"');
    }

    /// A name as the engine keeps it: up to the first zero. What is not UTF-8 is replaced.
    pub fn name(&mut self, name: &[u8]) {
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        self.string(&String::from_utf8_lossy(&name[..end]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parted_and_nested() {
        let mut json = Json::default();
        json.object(|json| {
            json.key("empty").array(|_| {});
            json.key("more").array(|json| {
                json.item().number(u64::MAX);
                json.item().object(|json| json.key("a").truth(true));
                json.item().maybe(None);
            });
            json.key("last").maybe(Some(0));
        });
        let expected = "{\"empty\":[],\"more\":[18446744073709551615,{\"a\":true},null],\"last\":0}\n";
        assert_eq!(json.line(), expected);
    }

    #[test]
    fn names_cannot_break_out() {
        let mut json = Json::default();
        json.name(b"a\"b\\c\nd\x1b[2J\xffe\xc2\x9b\x00rest");
        assert_eq!(json.line(), "\"a\\\"b\\\\c\\u000ad\\u001b[2J\u{fffd}e\\u009b\"\n");
    }
}
