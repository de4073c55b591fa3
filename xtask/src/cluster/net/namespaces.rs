//! Network namespaces: each machine's own network stack, joined by a bridge in one more.
//!
//! Everything is inside the namespaces, and the host's own network is left as it is. Their names
//! begin with the number of the process that made them, so that a later run can remove what a
//! killed one left behind.

use std::fs;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// What the names of all namespaces begin with.
const PREFIX: &str = "moqdrill-";

/// Where the system keeps the named namespaces.
const NAMED: &str = "/run/netns";

/// Where `ip netns exec` looks for files that replace those in /etc.
const FILES: &str = "/etc/netns";

/// The namespaces of one run, removed when dropped.
pub(super) struct Namespaces {
    machines: Vec<Machine>,
    bridge: String,
}

struct Machine {
    name: String,
    address: Ipv4Addr,
}

impl Namespaces {
    /// Makes a namespace with its own address for each machine.
    ///
    /// # Errors
    /// Where this is not allowed, or `ip` is missing.
    pub(super) fn new(machines: &[(&str, Ipv4Addr)]) -> anyhow::Result<Self> {
        remove_leftovers();
        let pid = std::process::id();
        let named = |machine: &str| format!("{PREFIX}{pid}-{machine}");
        let mut namespaces = Self {
            machines: Vec::new(),
            bridge: named("bridge"),
        };
        ip(&["netns", "add", &namespaces.bridge])?;
        let bridge = namespaces.bridge.clone();
        ip(&["-n", &bridge, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", &bridge, "link", "set", "br0", "up"])?;
        for (machine, address) in machines {
            let machine = Machine {
                name: named(machine),
                address: *address,
            };
            let port = format!("port{}", namespaces.machines.len());
            namespaces.machines.push(machine);
            namespaces.plug(namespaces.machines.len() - 1, &port)?;
        }
        Ok(namespaces)
    }

    /// The words before a program that is to run on a machine.
    pub(super) fn inside(&self, machine: usize) -> [&str; 4] {
        ["ip", "netns", "exec", &self.machines[machine].name]
    }

    /// Says on a machine which name is which address.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub(super) fn set_hosts(
        &self,
        machine: usize,
        hosts: &[(String, Ipv4Addr)],
    ) -> anyhow::Result<()> {
        let mut text = "127.0.0.1 localhost\n".to_owned();
        for (name, address) in hosts {
            text.push_str(&format!("{address} {name}\n"));
        }
        // Written in place: programs that run already have this very file mounted.
        let file = self.files(machine).join("hosts");
        fs::write(file, text).context("cannot write a machine's hosts file")
    }

    /// Takes the way between two machines away, or gives it back. What is sent is lost on its way.
    ///
    /// # Errors
    /// Where `nft` is missing or refuses.
    pub(super) fn set_cut(&self, a: usize, b: usize, is_cut: bool) -> anyhow::Result<()> {
        let verb = if is_cut { "add" } else { "delete" };
        for (at, from) in [(a, b), (b, a)] {
            let from = self.machines[from].address;
            let rules = format!(
                "add table ip drill\n\
                 add set ip drill cut {{ type ipv4_addr; }}\n\
                 add chain ip drill in {{ type filter hook input priority 0; }}\n\
                 flush chain ip drill in\n\
                 add rule ip drill in ip saddr @cut drop\n\
                 {verb} element ip drill cut {{ {from} }}\n"
            );
            self.nft(at, &rules)?;
        }
        Ok(())
    }

    /// Loses so many of a hundred packets that come to a machine, and as many that go from it.
    ///
    /// # Errors
    /// Where `nft` is missing or refuses.
    pub(super) fn set_loss(&self, machine: usize, percent: u8) -> anyhow::Result<()> {
        let address = self.machines[machine].address;
        for at in 0..self.machines.len() {
            let mut rules = "add table ip loss\ndelete table ip loss\n".to_owned();
            if percent > 0 {
                // What goes from it is lost where it arrives: a sender would be told of the rest.
                let line = if at == machine {
                    "iif != lo".to_owned()
                } else {
                    format!("ip saddr {address}")
                };
                rules.push_str(&format!(
                    "add table ip loss\n\
                     add chain ip loss in {{ type filter hook input priority 1; }}\n\
                     add rule ip loss in {line} numgen random mod 100 < {percent} drop\n"
                ));
            }
            self.nft(at, &rules)?;
        }
        Ok(())
    }

    /// Limits what comes to a machine and goes from it, in kbit/s; `None` takes the limit away.
    ///
    /// # Errors
    /// Where `tc` is missing or refuses.
    pub(super) fn set_rate(&self, machine: usize, kbit: Option<u32>) -> anyhow::Result<()> {
        let ports = [
            (&self.machines[machine].name, "eth0".to_owned()),
            (&self.bridge, format!("port{machine}")),
        ];
        for (namespace, port) in ports {
            let device = ["-n", namespace.as_str(), "qdisc"];
            let Some(kbit) = kbit else {
                let words = [&device[..], &["del", "dev", &port, "root"]].concat();
                run(Command::new("tc").args(words), "")?;
                continue;
            };
            let rate = format!("{kbit}kbit");
            let shape = ["tbf", "rate", &rate, "burst", "16kb", "latency", "100ms"];
            let words = [&device[..], &["replace", "dev", &port, "root"], &shape].concat();
            run(Command::new("tc").args(words), "")?;
        }
        Ok(())
    }

    /// Joins a machine to the bridge.
    fn plug(&self, machine: usize, port: &str) -> anyhow::Result<()> {
        let Machine { name, address } = &self.machines[machine];
        let bridge = &self.bridge;
        ip(&["netns", "add", name])?;
        let files = self.files(machine);
        fs::create_dir_all(&files).context("cannot make a folder in /etc/netns")?;
        fs::write(files.join("hosts"), "127.0.0.1 localhost\n")?;
        let veth = ["type", "veth", "peer", "name", "eth0", "netns", name];
        ip(&[&["-n", bridge, "link", "add", port], &veth[..]].concat())?;
        ip(&["-n", bridge, "link", "set", port, "master", "br0", "up"])?;
        let own = format!("{address}/24");
        ip(&["-n", name, "addr", "add", &own, "dev", "eth0"])?;
        ip(&["-n", name, "link", "set", "eth0", "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])
    }

    fn nft(&self, machine: usize, rules: &str) -> anyhow::Result<()> {
        let inside = self.inside(machine);
        let mut nft = Command::new(inside[0]);
        run(nft.args(&inside[1..]).args(["nft", "-f", "-"]), rules)
    }

    fn files(&self, machine: usize) -> PathBuf {
        Path::new(FILES).join(&self.machines[machine].name)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for machine in &self.machines {
            remove(&machine.name);
        }
        remove(&self.bridge);
    }
}

/// Removes what runs that were killed left behind.
fn remove_leftovers() {
    let Ok(entries) = fs::read_dir(NAMED) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_left = maker(&name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        if is_left {
            remove(&name);
        }
    }
}

/// The number of the process that made a namespace of ours.
fn maker(name: &str) -> Option<u32> {
    let (pid, _machine) = name.strip_prefix(PREFIX)?.split_once('-')?;
    pid.parse().ok()
}

/// Removes a namespace as far as it is there.
fn remove(name: &str) {
    let _gone = ip(&["netns", "del", name]);
    let _gone = fs::remove_dir_all(Path::new(FILES).join(name));
    // Only once it is empty.
    let _kept = fs::remove_dir(FILES);
}

fn ip(words: &[&str]) -> anyhow::Result<()> {
    run(Command::new("ip").args(words), "")
}

/// Runs a program to its end; it takes milliseconds, and destructors need it.
fn run(command: &mut Command, input: &str) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = child
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {}", said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_namespaces_of_ours_have_a_maker() {
        assert_eq!(maker("moqdrill-123-a"), Some(123));
        assert_eq!(maker("moqdrill-x-a"), None);
        assert_eq!(maker("other-123-a"), None);
        assert_eq!(maker("moqdrill-123"), None);
    }
}
