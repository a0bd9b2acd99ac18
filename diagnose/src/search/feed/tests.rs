use std::io::Write as _;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

/// Gives what it has in pieces of the given sizes, again and again.
struct Pieces<'a>(&'a [u8], std::iter::Cycle<std::vec::IntoIter<usize>>);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.1.next().unwrap_or(1).min(buffer.len()).min(self.0.len());
        buffer[..size].copy_from_slice(&self.0[..size]);
        self.0 = &self.0[size..];
        Ok(size)
    }
}

fn run(patterns: &[&str], reader: impl Read + Send, context: &[usize]) -> (Vec<Found>, Extent) {
    let (engine, refused) = Search::new(patterns.iter().copied());
    assert_eq!(refused, []);
    let mut all = Vec::new();
    let extent = search(&engine, reader, &context.iter().copied().collect(), &mut |found| {
        all.push(found);
        Ok(())
    });
    (all, extent.unwrap())
}

proptest! {
    #[test]
    fn hits_come_in_order_with_their_places_and_context(
        lines in prop::collection::vec(prop::sample::select(vec!["fail here", "", "fine", "failed\r", "a longer line that is fine"]), 0..90),
        sizes in prop::collection::vec(1usize..70, 1..5),
        ends in any::<bool>(),
    ) {
        let text = lines.join("\n") + if ends { "\n" } else { "" };
        let (all, extent) = run(&["fail "], Pieces(text.as_bytes(), sizes.into_iter().cycle()), &[0]);
        let whole: Vec<&str> = text.split_inclusive('\n').collect();
        prop_assert_eq!(extent, Extent { bytes: text.len() as u64, lines: whole.len() as u64 });
        let at = |number: usize| whole[..number].concat().len() as u64;
        let expected: Vec<Found> = (0..whole.len()).filter(|number| whole[*number].starts_with("fail ")).map(|number| Found {
            pattern: 0,
            number: number as u64 + 1,
            offset: at(number),
            line: b"fail here".to_vec(),
            is_cut: false,
            before: whole[number.saturating_sub(60)..number].concat().into_bytes(),
            after: whole[number + 1..].iter().take(20).filter(|line| line.ends_with('\n')).map(|line| line.as_bytes()).collect::<Vec<_>>().concat(),
        }).collect();
        prop_assert_eq!(all, expected);
    }
}

#[test]
fn many_chunks_keep_their_order() {
    let line = |number: u32| format!("{number} {}\n", if number.is_multiple_of(1000) { "needle" } else { "straw and hay" });
    let text: String = (1..=200_000).map(line).collect();
    let (all, extent) = run(&["needle$"], text.as_bytes(), &[]);
    assert_eq!(extent, Extent { bytes: text.len() as u64, lines: 200_000 });
    assert_eq!(all.iter().map(|found| found.number).collect::<Vec<_>>(), (1..=200).map(|each| each * 1000).collect::<Vec<_>>());
    assert!(all.iter().all(|found| text.as_bytes()[usize::try_from(found.offset).unwrap()..].starts_with(&found.line)));
    assert!(all.iter().all(|found| found.before.is_empty() && found.after.is_empty()));
}

#[test]
fn a_long_line_is_searched_in_windows_and_told_once() {
    let mut text = b"first\n".to_vec();
    text.resize(5 << 20, b'x');
    text[(3 << 20) - 4..][..6].copy_from_slice(b"needle");
    text[(4 << 20)..][..6].copy_from_slice(b"needle");
    text.extend(b"\nlast needle\n");
    let (all, extent) = run(&["needle"], &text[..], &[0]);
    assert_eq!(extent.lines, 3);
    assert_eq!(
        all.iter().map(|found| (found.number, found.offset, found.is_cut)).collect::<Vec<_>>(),
        [(2, 6, true), (3, (5 << 20) + 1, false)]
    );
    assert!(all[0].line.len() == 16 << 10 && all[0].line[8000..9000].windows(6).any(|six| six == b"needle"));
    assert_eq!((&all[1].before[..], &all[1].after[..]), (&b""[..], &b""[..]));
}

#[test]
fn context_is_bounded() {
    let text = format!("{}needle\n{}", "y".repeat(1000).replacen('y', "z", 1) + "\n", ("w".repeat(1000) + "\n").repeat(30));
    let text = text.clone() + &text + &text;
    let (all, _) = run(&["^needle"], text.as_bytes(), &[0]);
    assert_eq!(all.iter().map(|found| found.before.len()).collect::<Vec<_>>(), [1001, 16 * 1001, 16 * 1001]);
    assert_eq!(all.iter().map(|found| found.after.len()).collect::<Vec<_>>(), [16 * 1001; 3]);
    assert!(all.iter().all(|found| found.before.starts_with(b"w") || found.before.starts_with(b"z")));
}

#[test]
fn a_hit_leaves_though_the_pipe_stays_open() {
    let (reader, mut writer) = io::pipe().unwrap();
    let (engine, _) = Search::new(["needle"]);
    let (told, seen) = mpsc::channel();
    thread::scope(|scope| {
        let engine = &engine;
        scope.spawn(move || {
            search(engine, reader, &BTreeSet::from([0]), &mut |found| Ok(told.send(found)?)).unwrap();
        });
        writer.write_all(b"one\nneedle\nthree\nfo").unwrap();
        let began = Instant::now();
        let found = seen.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!((found.number, &found.before[..], &found.after[..]), (2, &b"one\n"[..], &b"three\n"[..]));
        drop(writer);
    });
}

#[test]
fn whoever_cannot_tell_stops_and_a_reader_that_fails_is_an_error() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let (engine, _) = Search::new(["needle"]);
    let text = "needle\n".repeat(1 << 20);
    let mut count = 0;
    let result = search(&engine, text.as_bytes(), &BTreeSet::new(), &mut |_| {
        count += 1;
        anyhow::bail!("closed")
    });
    assert_eq!((result.unwrap_err().to_string(), count), ("closed".to_owned(), 1));
    let reader = (&b"a needle\nand"[..]).chain(Failing);
    let result = search(&engine, reader, &BTreeSet::new(), &mut |found| {
        assert_eq!(found.number, 1);
        count += 1;
        Ok(())
    });
    assert_eq!((result.unwrap_err().to_string(), count), ("the disk is gone".to_owned(), 2));
}

#[test]
fn a_long_file_is_searched_as_a_short_one() {
    let mut file = tempfile::tempfile().unwrap();
    let text = "all is well and no other word is said\n".repeat(2 << 20).into_bytes();
    let text = [&text[..], b"a needle\n"].concat();
    file.write_all(&text).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let (engine, _) = Search::new(["needle", "nothing"]);
    let mut all = Vec::new();
    let fitted = fitted(&engine, &file).unwrap().unwrap();
    let extent = search(&fitted, &file, &BTreeSet::new(), &mut |found| {
        all.push((found.number, found.pattern));
        Ok(())
    });
    assert_eq!(extent.unwrap().bytes, text.len() as u64);
    assert!(all == [((2 << 20) + 1, 0)], "{} hits", all.len());
}
