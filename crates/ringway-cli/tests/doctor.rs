//! `ringway doctor` as a user meets it. What a host gives differs; what is said of it has one form.
#![allow(unsafe_code, reason = "a sandbox is put on between fork and exec")]

mod support;

use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    io,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt, process::CommandExt},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use support::{Place, end};

fn output(command: &mut Command) -> Output {
    command.stdout(Stdio::piped()).output().unwrap()
}

/// The document that it prints, however it ends.
#[track_caller]
fn document(command: &mut Command) -> Value {
    let output = output(command);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The finding of this name.
#[track_caller]
fn finding<'a>(document: &'a Value, name: &str) -> &'a Value {
    let findings = document["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["name"] == name).unwrap_or_else(|| panic!("{name} in {document}"))
}

/// The command under a shell that has set a limit first.
fn limited(place: &Place, limit: &str) -> Command {
    let ringway = place.ringway(&[]).get_program().to_owned();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit {limit} && exec \"$0\" doctor --json")]).arg(ringway);
    command.env("RINGWAY_DIR", place.path(""));
    command
}

/// Has the kernel refuse one call to whatever is started, as a container's sandbox does.
fn forbid(command: &mut Command, call: libc::c_long) {
    let code = |code: u32, k: u32, jump: u8| libc::sock_filter { code: code as u16, jt: 0, jf: jump, k };
    let filter = [
        // The call's number is the first word there is.
        code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, 1),
        code(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0),
        code(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0),
    ];
    let install = move || {
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
        // SAFETY: the numbers are plain, and the program and its filter live through the calls, which read them.
        let done = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0
        };
        if done { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec it makes two system calls and neither allocates nor locks.
    unsafe { command.pre_exec(install) };
}

#[test]
fn every_finding_has_a_verdict_and_says_what_it_means_and_how_to_mend_it() {
    let place = Place::new();
    let output = output(&mut place.ringway(&["doctor", "--json"]));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let findings = document["findings"].as_array().unwrap();
    for finding in findings {
        let verdict = finding["verdict"].as_str().unwrap();
        assert!(["good", "worse", "missing", "unknown"].contains(&verdict), "{finding}");
        for words in ["topic", "name", "found", "means"] {
            assert!(!finding[words].as_str().unwrap().is_empty(), "{words} of {finding}");
        }
        assert!(finding["figures"].is_object(), "{finding}");
        // What can be mended, and nothing else, says how.
        assert_eq!(finding["mend"].is_string(), ["worse", "missing"].contains(&verdict), "{finding}");
    }
    for topic in ["kernel", "names", "limits", "huge_pages", "processors", "surroundings"] {
        assert!(findings.iter().any(|finding| finding["topic"] == topic), "{topic}");
    }
    let works = findings.iter().all(|finding| finding["verdict"] != "missing");
    assert_eq!((&document["works"], output.status.code()), (&works.into(), Some(i32::from(!works))));
}

#[test]
fn people_get_a_line_for_each_finding() {
    let place = Place::new();
    let document = document(&mut place.ringway(&["doctor", "--json"]));
    let printed = String::from_utf8(output(&mut place.ringway(&["doctor"])).stdout).unwrap();
    for finding in document["findings"].as_array().unwrap() {
        let start =
            format!("  {:<9}{}  ", finding["verdict"].as_str().unwrap(), finding["name"].as_str().unwrap());
        assert_eq!(
            printed.lines().filter(|line| line.starts_with(&start)).count(),
            1,
            "{start} in\n{printed}"
        );
    }
}

#[test]
fn nothing_is_left_where_names_are() {
    let place = Place::new();
    let document = document(&mut place.ringway(&["doctor", "--json"]));
    assert_eq!(finding(&document, "O_TMPFILE, linkat")["verdict"], "good");
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 0);
}

#[test]
fn without_a_directory_of_names_something_is_missing_and_all_else_is_still_said() {
    let place = Place::new();
    let file = place.file("file", b"");
    for nowhere in [place.path("nowhere"), file, place.path("").join(OsStr::from_bytes(b"\xff\n"))] {
        let mut command = place.ringway(&["doctor", "--json", "--dir"]);
        let output = output(command.arg(nowhere));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("cannot do without: directory"), "{said}");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&document["works"], &finding(&document, "directory")["verdict"]),
            (&false.into(), &"missing".into())
        );
        finding(&document, "futex");
    }
}

#[test]
fn a_directory_that_is_not_there_is_to_be_made_and_a_file_not() {
    let place = Place::new();
    let file = place.file("file", b"");
    for (nowhere, made) in [(place.path("nowhere"), true), (file.join("x"), false)] {
        let document = document(place.ringway(&["doctor", "--json", "--dir"]).arg(nowhere));
        let mend = finding(&document, "directory")["mend"].as_str().unwrap();
        assert_eq!(mend.contains("mkdir -p"), made, "{mend}");
        assert!(mend.contains("name another directory with --dir"), "{mend}");
    }
}

#[test]
fn a_directory_that_may_not_be_written_is_missing_and_one_that_all_may_write_worse() {
    let place = Place::new();
    fs::set_permissions(place.path(""), Permissions::from_mode(0o777)).unwrap();
    let open = document(&mut place.ringway(&["doctor", "--json"]));
    assert_eq!(finding(&open, "permissions")["verdict"], "worse");
    fs::set_permissions(place.path(""), Permissions::from_mode(0o555)).unwrap();
    let mut doctor = place.ringway(&["doctor", "--json"]);
    // Nobody in particular, if we are root, whom nothing keeps from writing.
    if File::create(place.path("probe")).is_ok() {
        doctor.uid(65534).gid(65534);
    }
    match doctor.stdout(Stdio::piped()).output() {
        Ok(output) => {
            let document: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(finding(&document, "O_TMPFILE, linkat")["verdict"], "missing");
            assert_eq!(output.status.code(), Some(1));
        }
        Err(error) => eprintln!("skipped: another user cannot run the command: {error}"),
    }
}

#[test]
fn what_a_sandbox_forbids_is_found_out_by_trying() {
    for (call, name, verdict, code) in [
        (libc::SYS_futex_waitv, "futex_waitv", "worse", 0),
        (libc::SYS_pidfd_open, "pidfd_open", "worse", 0),
        (libc::SYS_membarrier, "membarrier", "worse", 0),
        (libc::SYS_memfd_create, "memfd_create", "missing", 1),
        (libc::SYS_set_robust_list, "set_robust_list", "worse", 0),
    ] {
        let place = Place::new();
        let mut doctor = place.ringway(&["doctor", "--json"]);
        forbid(&mut doctor, call);
        let output = match doctor.stdout(Stdio::piped()).output() {
            Ok(output) => output,
            Err(error) => {
                eprintln!("skipped: no sandbox can be put on here: {error}");
                return;
            }
        };
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let found = finding(&document, name);
        assert_eq!((&found["verdict"], output.status.code()), (&verdict.into(), Some(code)), "{found}");
        assert!(found["mend"].as_str().unwrap().contains("seccomp"), "{found}");
        assert_eq!(finding(&document, "seccomp")["found"], "on");
    }
}

#[test]
fn tight_limits_of_the_process_are_worse() {
    let place = Place::new();
    for (limit, name) in [("-n 64", "RLIMIT_NOFILE"), ("-f 1", "RLIMIT_FSIZE"), ("-v 900000", "RLIMIT_AS")] {
        let document = document(&mut limited(&place, limit));
        assert_eq!(finding(&document, name)["verdict"], "worse", "{limit}");
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let place = Place::new();
    for args in [&["doctor"][..], &["doctor", "--json"]] {
        let mut command = place.ringway(args);
        command.stdout(File::create("/dev/full").unwrap());
        let (status, said) = end(command.spawn().unwrap());
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("standard output"), "{said}");
    }
}
