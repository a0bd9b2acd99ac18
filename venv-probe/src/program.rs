//! What kind of file an interpreter is, told from its first bytes: a program for this machine, for another one, a script, or nothing that runs.

use std::io;
use std::path::Path;

use crate::bounded;

/// The kind of a file that should be a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Its format fits this machine.
    Native,
    /// A program for another processor or system.
    Foreign,
    /// A script of a version manager, which starts whatever Python is selected.
    Shim,
    /// Another script: only a start tells what it does.
    Script,
    /// Empty, or nothing that a kernel runs.
    Nothing,
}

/// Enough of a script to recognise a shim; a program's header is shorter.
const HEAD: usize = 512;

/// Reads the kind of `path`, links followed.
pub(crate) fn kind(path: &Path) -> io::Result<Program> {
    let mut head = [0; HEAD];
    match bounded::head(path, &mut head) {
        Ok(length) => Ok(classify(&head[..length], path, Machine::here())),
        // A pipe, a device or a folder.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Program::Nothing),
        Err(error) => Err(error),
    }
}

/// What a native program's header says.
#[derive(Clone, Copy, Debug)]
struct Machine {
    macos: bool,
    /// `e_machine` of ELF; `None` where this build does not know its own.
    elf: Option<u16>,
    big_endian: bool,
}

impl Machine {
    fn here() -> Self {
        // elf(5), <elf.h>: EM_386, EM_PPC64, EM_S390, EM_ARM, EM_X86_64, EM_AARCH64, EM_RISCV.
        let elf = match std::env::consts::ARCH {
            "x86" => Some(3),
            "powerpc64" => Some(21),
            "s390x" => Some(22),
            "arm" => Some(40),
            "x86_64" => Some(62),
            "aarch64" => Some(183),
            "riscv64" => Some(243),
            _ => None,
        };
        Self { macos: cfg!(target_os = "macos"), elf, big_endian: cfg!(target_endian = "big") }
    }
}

fn classify(head: &[u8], path: &Path, here: Machine) -> Program {
    match head {
        [0x7f, b'E', b'L', b'F', ..] if here.macos => Program::Foreign,
        [0x7f, b'E', b'L', b'F', ..] => elf(head, here),
        // Mach-O, 64 bit in either byte order, and universal binaries.
        [0xcf, 0xfa, 0xed, 0xfe, ..] | [0xfe, 0xed, 0xfa, 0xcf, ..] | [0xca, 0xfe, 0xba, 0xbe | 0xbf, ..] => {
            if here.macos {
                Program::Native
            } else {
                Program::Foreign
            }
        }
        [b'M', b'Z', ..] => Program::Foreign,
        [b'#', b'!', ..] if is_shim(head, path) => Program::Shim,
        [b'#', b'!', ..] => Program::Script,
        _ => Program::Nothing,
    }
}

fn elf(head: &[u8], here: Machine) -> Program {
    let (Some(&order), Some(&[low, high])) = (head.get(5), head.get(18..20).and_then(|m| m.first_chunk::<2>())) else {
        return Program::Nothing;
    };
    let big_endian = order == 2;
    let machine = if big_endian { u16::from_be_bytes([low, high]) } else { u16::from_le_bytes([low, high]) };
    // A 64-bit x86 kernel runs 32-bit programs; whether their libraries are there, a start tells.
    let fits = here.elf.is_none_or(|elf| elf == machine || (elf == 62 && machine == 3));
    if fits && big_endian == here.big_endian { Program::Native } else { Program::Foreign }
}

fn is_shim(head: &[u8], path: &Path) -> bool {
    let text = String::from_utf8_lossy(head);
    path.parent().is_some_and(|folder| folder.ends_with("shims"))
        || ["pyenv", "asdf", "mise"]
            .iter()
            .any(|manager| text.contains(&format!("{manager} exec")) || text.contains(&format!("{manager}\" exec")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: Machine = Machine { macos: false, elf: Some(62), big_endian: false };
    const MAC: Machine = Machine { macos: true, elf: Some(183), big_endian: false };

    fn header(machine: u16) -> Vec<u8> {
        let mut head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
        head.extend(machine.to_le_bytes());
        head
    }

    #[test]
    fn each_format_on_each_system() {
        let python = Path::new("/opt/bin/python3.12");
        for (head, linux, mac) in [
            (header(62), Program::Native, Program::Foreign),
            (header(183), Program::Foreign, Program::Foreign),
            (b"\xcf\xfa\xed\xfe\x0c\0\0\x01".to_vec(), Program::Foreign, Program::Native),
            (b"MZ\x90".to_vec(), Program::Foreign, Program::Foreign),
            (b"#!/bin/sh\nexec real-python \"$@\"".to_vec(), Program::Script, Program::Script),
            (b"#!/usr/bin/env bash\nexec \"/root/.pyenv/libexec/pyenv\" exec \"$program\"".to_vec(), Program::Shim, Program::Shim),
            (Vec::new(), Program::Nothing, Program::Nothing),
            (b"\x7fELF".to_vec(), Program::Nothing, Program::Foreign),
            (b"plain text".to_vec(), Program::Nothing, Program::Nothing),
        ] {
            assert_eq!((classify(&head, python, LINUX), classify(&head, python, MAC)), (linux, mac), "{head:?}");
        }
        assert_eq!(classify(b"#!/bin/sh\n", Path::new("/home/u/.asdf/shims/python3"), LINUX), Program::Shim);
    }
}
