//! A process that appends is killed before each of its file operations, or each of them fails: whatever was
//! acknowledged stays, what was not is there whole or not at all, and the next append goes on.
//!
//! This test runs itself under `strace`, so it has a `main` of its own: a single thread, whose operations can be
//! counted.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::exit,
    missing_docs,
    reason = "a test may fail, and says how far it is"
)]

#[cfg(unix)]
mod support;

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match std::env::var_os("CONSIGN_LEDGER_TEST_CHILD") {
        Some(_) => unix::child(&arguments[1..]),
        None => unix::tests(),
    }
}

#[cfg(unix)]
mod unix {
    use std::collections::HashMap;
    use std::fs;
    use std::io::Write as _;
    use std::ops::Range;
    use std::path::Path;
    use std::process::{Command, Output, Stdio};

    use consign_ledger::*;
    use consign_signing::PrivateKey;

    use crate::support::{Desk, event, files, number};

    /// Whatever touches the disk.
    const OPERATIONS: &str = "openat,mkdir,mkdirat,write,pwrite64,copy_file_range,fsync,fdatasync,rename,renameat,\
        renameat2,link,linkat,unlink,unlinkat,rmdir,ftruncate,fchmod,flock";

    /// Events are recorded, or bodies are dropped: `append DIRECTORY KEY FIRST COUNT TIMES`, `drop DIRECTORY KEY LAST`.
    pub fn child(arguments: &[String]) {
        let number = |at: usize| arguments[at].parse::<u64>().unwrap();
        let directory = Path::new(&arguments[1]);
        let key = PrivateKey::parse(&fs::read(&arguments[2]).unwrap(), &mut |_| unreachable!()).unwrap();
        let result = match &*arguments[0] {
            "append" => (0..number(5)).try_for_each(|round| {
                let first = number(3) + round * number(4);
                let events: Vec<Event> = (first..first + number(4)).map(event).collect();
                append(directory, &key, None, &events).map(|_| ())
            }),
            _ => drop_bodies(directory, &key, None, &record(number(3))).map(|_| ()),
        };
        let word = match &result {
            Ok(()) => "acknowledged",
            Err(error) => error.problem().code,
        };
        let written = std::io::stdout().write_all(format!("{word}\n").as_bytes());
        std::process::exit(i32::from(result.is_err() || written.is_err()));
    }

    /// The same key once more.
    fn key(key: &PrivateKey) -> PrivateKey {
        PrivateKey::parse(key.to_pkcs8_pem().unwrap().as_bytes(), &mut |_| unreachable!()).unwrap()
    }

    /// The event that records the drop of bodies 0 to `last`.
    fn record(last: u64) -> Event {
        let mut record = event(last);
        record.action = EVENTS_DROPPED.parse().unwrap();
        record.metadata = Event::dropped_metadata(0..=last);
        record
    }

    /// A system call of a child.
    struct Operation {
        name: String,
        /// The how many-th call of this name it is.
        count: u32,
        line: String,
    }

    impl Operation {
        /// What makes `strace` do this to it.
        fn inject(&self, what: &str) -> [String; 4] {
            let inject = format!("inject={}:{what}:when={}", self.name, self.count);
            ["-e".into(), inject, "-o".into(), "/dev/null".into()]
        }
    }

    /// A ledger, and what a child does to it.
    struct Scenario {
        name: &'static str,
        template: Desk,
        arguments: Vec<String>,
        /// Numbers of the events that are there before.
        before: Range<u64>,
        /// Numbers of those that the child adds.
        added: Range<u64>,
        /// How many bodies it drops.
        dropped: u64,
        /// Whether an earlier append was cut short, so that there is something to repair.
        torn: bool,
    }

    impl Scenario {
        fn append(name: &'static str, before: u64, count: u64) -> Self {
            let template = if before == 0 { Desk::new() } else { Desk::with(before) };
            Self {
                name,
                template,
                arguments: vec![before.to_string(), count.to_string(), "1".into()],
                before: 0..before,
                added: before..before + count,
                dropped: 0,
                torn: false,
            }
        }

        fn all() -> Vec<Self> {
            let torn = |name, pending| {
                let mut scenario = Self::append(name, 5, 1);
                let path = |name| scenario.template.file(name);
                let before = fs::read(path("checkpoint")).unwrap();
                scenario.template.append(100..102);
                fs::rename(path("checkpoint"), path("checkpoint.pending")).unwrap();
                fs::write(path("checkpoint"), before).unwrap();
                if pending {
                    scenario.before = 0..7;
                    scenario.added = 5..6;
                } else {
                    scenario.template.edit("events/000", |bytes| bytes.truncate(bytes.len() - 7));
                }
                scenario.torn = true;
                scenario
            };
            let mut drop = Self::append("bodies are dropped", 300, 1);
            drop.arguments = vec!["259".into()];
            drop.added = 259..260;
            drop.dropped = 260;
            vec![
                Self::append("the first event", 0, 1),
                Self::append("one event", 5, 1),
                Self::append("a tile becomes full", 255, 1),
                Self::append("a tile begins", 256, 1),
                Self::append("many events", 250, 300),
                torn("after one that was cut short", false),
                torn("after one that had almost come to its end", true),
                drop,
            ]
        }

        fn command(&self, copy: &Desk, key: &Path, strace: &[String]) -> Output {
            let mut command = Command::new("strace");
            command.args(["-f", "-qq"]).args(strace).arg(std::env::current_exe().unwrap());
            let verb = if self.dropped > 0 { "drop" } else { "append" };
            command.arg(verb).arg(copy.path()).arg(key).args(&self.arguments);
            command.env("CONSIGN_LEDGER_TEST_CHILD", "1").stdin(Stdio::null());
            let output = command.output();
            output.unwrap_or_else(|error| panic!("this test needs strace ({error}); .ci/install installs it"))
        }

        /// A copy of the template, and what the child did to it.
        fn run(&self, strace: &[String]) -> (Desk, Output) {
            let copy = Desk { directory: tempfile::tempdir().unwrap(), key: key(&self.template.key) };
            if self.template.path().exists() {
                for name in files(&self.template.path()) {
                    fs::create_dir_all(copy.file(&name).parent().unwrap()).unwrap();
                    fs::copy(self.template.file(&name), copy.file(&name)).unwrap();
                }
            }
            let key = copy.directory.path().join("key");
            fs::write(&key, copy.key.to_pkcs8_pem().unwrap()).unwrap();
            let output = self.command(&copy, &key, strace);
            (copy, output)
        }

        /// The operations of the child's main thread, from when it first touches the ledger on. The other threads
        /// only wait for the disk.
        fn operations(&self) -> Vec<Operation> {
            let trace = tempfile::NamedTempFile::new().unwrap();
            let path = trace.path().to_str().unwrap().to_owned();
            let (copy, output) = self.run(&[format!("--trace={OPERATIONS}"), "-o".into(), path]);
            assert_eq!(String::from_utf8_lossy(&output.stdout), "acknowledged\n", "{}", self.name);
            assert!(self.check(&copy, true), "{}", self.name);
            let lines = fs::read_to_string(trace.path()).unwrap();
            let main = lines.split(' ').next().unwrap();
            // strace counts the calls of each name by themselves.
            let mut counts = HashMap::new();
            let operation = |line: &str| {
                let call = line.strip_prefix(main)?.trim_start();
                let name = call.split_once('(')?.0.to_owned();
                let count = counts.entry(name.clone()).or_insert(0);
                *count += 1;
                Some(Operation { name, count: *count, line: line.to_owned() })
            };
            let operations = lines.lines().filter_map(operation);
            operations.skip_while(|operation| !operation.line.contains("/ledger")).collect()
        }

        /// The ledger is in order, has what was acknowledged, and takes more. Whether it has the new events.
        fn check(&self, copy: &Desk, acknowledged: bool) -> bool {
            let name = self.name;
            let has_new = match Ledger::open(&copy.path(), &copy.verifier()) {
                Ok(ledger) => {
                    let sizes = [self.before.end, self.before.end + self.added.end - self.added.start];
                    // The earlier append may not be completed yet.
                    let sizes = if self.torn { vec![5, sizes[0], sizes[1]] } else { sizes.to_vec() };
                    assert!(sizes.contains(&ledger.size()), "{name}: {}", ledger.size());
                    ledger.verify(&mut |_| std::ops::ControlFlow::Continue(())).unwrap();
                    ledger.size() > self.before.end
                }
                Err(LedgerError::Absent(_)) => {
                    assert_eq!(self.before.end, 0, "{name}");
                    false
                }
                Err(error) => panic!("{name}: {error}"),
            };
            assert!(has_new || !acknowledged, "{name}: an acknowledged event is gone");
            has_new
        }

        /// The next append succeeds, whatever came before.
        fn go_on(&self, copy: &Desk) -> Option<Repair> {
            let name = self.name;
            let appended = copy.try_append(9000..9001).unwrap_or_else(|error| panic!("{name}: {error}"));
            // It may have completed what was begun; then all of it is there.
            self.check_numbers(copy);
            let summary =
                copy.verify().unwrap_or_else(|error| panic!("{name}: {error}: {:?}", copy.faults()));
            assert!(summary.dropped <= self.dropped, "{name}");
            if self.dropped > 0 {
                // The next drop finishes what this one did not.
                let mut again = record(0);
                again.nonce = Nonce::from_bytes([7; 16]);
                drop_bodies(&copy.path(), &copy.key, None, &again).unwrap();
                let recorded = copy.open().size() > self.before.end + 2;
                assert_eq!(copy.verify().unwrap().dropped, if recorded { self.dropped } else { 1 }, "{name}");
            }
            appended.repaired
        }

        fn check_numbers(&self, copy: &Desk) {
            if self.dropped > 0 {
                return;
            }
            let earlier: Vec<u64> = if self.before == (0..7) {
                (0..5).chain(100..102).collect()
            } else {
                self.before.clone().collect()
            };
            let with: Vec<u64> = earlier.iter().copied().chain(self.added.clone()).chain([9000]).collect();
            let without: Vec<u64> = earlier.into_iter().chain([9000]).collect();
            let found: Vec<u64> = {
                let ledger = copy.open();
                ledger.entries(0..u64::MAX).map(|entry| number(&entry.unwrap().body.unwrap())).collect()
            };
            assert!(found == with || found == without, "{}: {found:?}", self.name);
        }

        fn killed_at_every_operation(&self) {
            let operations = self.operations();
            let mut finished = 0;
            for operation in &operations {
                let (copy, output) = self.run(&operation.inject("signal=SIGKILL"));
                let acknowledged = output.stdout == b"acknowledged\n";
                assert!(!output.status.success() || acknowledged, "{}: {output:?}", operation.line);
                finished += u32::from(self.check(&copy, acknowledged));
                self.go_on(&copy);
            }
            let count = operations.len();
            assert!(finished > 0 && (finished as usize) < count, "{}: {finished} of {count}", self.name);
            println!(
                "killed at each of {count} operations ({finished} of them past the last step): {} ... ok",
                self.name
            );
        }

        fn failing_at_every_operation(&self) {
            let (mut failed, mut late) = (0, 0);
            for operation in self.operations() {
                let (copy, output) = self.run(&operation.inject("error=ENOSPC"));
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                let acknowledged = said == "acknowledged\n";
                let known =
                    ["ledger-unwritable\n", "ledger-unreadable\n", "ledger-no-locks\n"].contains(&&*said);
                // The last `write` is the word itself.
                let is_word = operation.line.contains("write(1");
                assert!(acknowledged || known || is_word, "{}: {output:?}", operation.line);
                let has_new = self.check(&copy, acknowledged);
                if !acknowledged && !is_word {
                    failed += 1;
                    late += u32::from(has_new);
                }
                let repaired = self.go_on(&copy);
                if let Some(repaired) = repaired.filter(|_| !self.torn) {
                    // What failed was taken back, or was past the point where it is signed.
                    assert!(
                        repaired.set_aside.is_empty() && repaired.completed.is_some(),
                        "{}: {repaired:?}",
                        operation.line
                    );
                }
            }
            assert!(failed > 10, "{}", self.name);
            // Only where the name of the checkpoint cannot be made durable is it there although it was not told;
            // a drop has its bodies to empty besides.
            assert!(late <= 1 || self.dropped > 0, "{}: {late}", self.name);
            println!("each operation fails, {failed} of them with an error: {} ... ok", self.name);
        }
    }

    /// Several threads make files durable, and operations are counted for each of them.
    fn what_cannot_be_made_durable_is_not_acknowledged() {
        for scenario in Scenario::all().into_iter().filter(|scenario| !scenario.torn) {
            for when in ["1", "2", "1+"] {
                let inject = format!("inject=fsync,fdatasync:error=EIO:when={when}");
                let (copy, output) = scenario.run(&["-e".into(), inject, "-o".into(), "/dev/null".into()]);
                assert_eq!(
                    String::from_utf8_lossy(&output.stdout),
                    "ledger-unwritable\n",
                    "{}",
                    scenario.name
                );
                scenario.check(&copy, false);
                scenario.go_on(&copy);
            }
            let inject = "inject=fsync,fdatasync:signal=SIGKILL:when=1";
            let (copy, output) = scenario.run(&["-e".into(), inject.into(), "-o".into(), "/dev/null".into()]);
            assert_eq!(output.stdout, b"");
            assert!(!scenario.check(&copy, false), "{}", scenario.name);
            scenario.go_on(&copy);
        }
        println!("what cannot be made durable is not acknowledged ... ok");
    }

    fn without_locks_nothing_is_written() {
        let scenario = Scenario::append("one event", 5, 1);
        let before = files(&scenario.template.path());
        let inject = "inject=flock:error=ENOLCK";
        let (copy, output) = scenario.run(&["-e".into(), inject.into(), "-o".into(), "/dev/null".into()]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "ledger-no-locks\n");
        assert_eq!(files(&copy.path()), before);
        println!("without locks nothing is written ... ok");
    }

    fn several_writers_at_once_lose_nothing() {
        let desk = Desk::new();
        let key = desk.directory.path().join("key");
        fs::write(&key, desk.key.to_pkcs8_pem().unwrap()).unwrap();
        let mut children: Vec<_> = (0..4)
            .map(|writer| {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.arg("append").arg(desk.path()).arg(&key);
                command.args([(writer * 1000).to_string(), "3".into(), "30".into()]);
                command.env("CONSIGN_LEDGER_TEST_CHILD", "1").stdout(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        // Readers need no lock, and always find a ledger that is in order.
        let mut seen = None;
        while children.iter_mut().any(|child| child.try_wait().unwrap().is_none()) {
            match Ledger::open(&desk.path(), &desk.verifier()) {
                Ok(ledger) => {
                    ledger.verify(&mut |_| std::ops::ControlFlow::Continue(())).unwrap();
                    if let Some(seen) = &seen {
                        ledger.consistency(seen).unwrap().check(&desk.verifier()).unwrap();
                    }
                    seen = Some(ledger.checkpoint().clone());
                }
                Err(LedgerError::Absent(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        for child in children {
            assert_eq!(child.wait_with_output().unwrap().stdout, b"acknowledged\n");
        }
        let mut numbers = desk.numbers();
        desk.verify().unwrap();
        numbers.sort_unstable();
        let expected: Vec<u64> = (0..4).flat_map(|writer| writer * 1000..writer * 1000 + 90).collect();
        assert_eq!(numbers, expected);
        println!("several writers at once lose nothing ... ok");
    }

    pub fn tests() {
        without_locks_nothing_is_written();
        what_cannot_be_made_durable_is_not_acknowledged();
        several_writers_at_once_lose_nothing();
        for scenario in Scenario::all() {
            scenario.killed_at_every_operation();
            scenario.failing_at_every_operation();
        }
    }
}
