//! Running the command `zxvm` and looking at what it says.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The command.
pub const ZXVM: &str = env!("CARGO_BIN_EXE_zxvm");

/// Runs the command with no terminal anywhere.
pub fn zxvm(arguments: &[&str]) -> Output {
    quiet(Command::new(ZXVM).args(arguments))
}

/// Runs the command under limits, set by the shell: `-n 64` and the like.
pub fn zxvm_with_limit(limit: &str, arguments: &[&str]) -> Output {
    let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
    quiet(Command::new("sh").args(["-c", &script, ZXVM]).args(arguments))
}

/// Without colours asked for or forbidden by whoever runs the tests.
pub fn quiet(command: &mut Command) -> Output {
    command.env_remove("CLICOLOR_FORCE").env_remove("NO_COLOR").stdin(Stdio::null());
    command.output().expect("the command starts")
}

/// Standard output.
pub fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// Standard error.
pub fn complaint(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// Standard output as JSON.
pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

/// The exit status, with what was printed if it is another.
#[track_caller]
pub fn expect_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}\n{}", text(output), complaint(output));
}
