//! The text of a registry: where each value stands in it, and how a few of them are changed while every other byte stays.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use anyhow::Context as _;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A value as it is written.
pub(crate) type Raw<'t> = &'t RawValue;

/// What a registry has at its top that is of interest; everything else stays as it is.
#[derive(Deserialize)]
pub(crate) struct Top<'t> {
    #[serde(borrow)]
    pub(crate) agents: Raw<'t>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) tasks: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) agent_hierarchy: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) active_count: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) completed_count: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) total_spawned: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) active_agents: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) total_agents_spawned: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) active_tasks: Option<Raw<'t>>,
}

/// What an agent has that is of interest.
#[derive(Default, Deserialize)]
pub(crate) struct Fields<'t> {
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) id: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) r#type: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) tmux_session: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) status: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) started_at: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) last_update: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) last_seen: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) completed_at: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) terminated_at: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) termination_reason: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) failed_at: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) claude_pid: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) cursor_pid: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) backend: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) task_id: Option<Raw<'t>>,
    #[serde(borrow, default, deserialize_with = "as_written")]
    pub(crate) tracked_files: Option<Raw<'t>>,
}

/// A value that is there, be it null.
fn as_written<'t, D: Deserializer<'t>>(deserializer: D) -> Result<Option<Raw<'t>>, D::Error> {
    Raw::deserialize(deserializer).map(Some)
}

/// The members of an object in their order, with the keys that they have.
pub(crate) struct Members<'t>(pub(crate) Vec<(Cow<'t, str>, Raw<'t>)>);

impl<'t> Deserialize<'t> for Members<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'t> Visitor<'t> for Each {
            type Value = Members<'t>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(key) = map.next_key::<Key<'t>>()? {
                    members.push((key.0, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

#[derive(Deserialize)]
struct Key<'t>(#[serde(borrow)] Cow<'t, str>);

/// A string, if it is one.
pub(crate) fn text(raw: Option<Raw<'_>>) -> Option<String> {
    raw.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok())
}

/// A whole number, if it is one.
pub(crate) fn number(raw: Option<Raw<'_>>) -> Option<i64> {
    raw.and_then(|raw| raw.get().parse().ok())
}

/// Whether a value is there and not null.
pub(crate) fn is_set(raw: Option<Raw<'_>>) -> bool {
    raw.is_some_and(|raw| raw.get() != "null")
}

/// A value without the white space between its parts, on one line.
pub(crate) fn on_one_line(raw: &str) -> String {
    let (mut line, mut in_text, mut escaped) = (String::with_capacity(raw.len()), false, false);
    for c in raw.chars() {
        if in_text {
            in_text = c != '"' || escaped;
            escaped = c == '\\' && !escaped;
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            in_text = c == '"';
        }
        line.push(c);
    }
    line
}

/// An object within a text, to have members set.
#[derive(Clone, Copy)]
pub(crate) struct Object<'t> {
    text: &'t str,
    raw: &'t str,
}

impl<'t> Object<'t> {
    /// An object in a text.
    pub(crate) fn of(text: &'t str, raw: Raw<'t>) -> Self {
        Self { text, raw: raw.get() }
    }

    /// Gives a member another value, or adds it behind the others, written as they are.
    pub(crate) fn set(&self, edits: &mut Edits, key: &str, old: Option<Raw<'_>>, value: &str) {
        if let Some(old) = old {
            let start = offset(self.text, old.get());
            return edits.replace(start..start + old.get().len(), value);
        }
        let inner = &self.raw[1..self.raw.len() - 1];
        let (gap, colon) = (leading(inner), if self.raw.contains("\": ") || !inner.contains(':') { ": " } else { ":" });
        let gap = if gap.contains('\n') || colon == ":" { gap } else { " " };
        let end = offset(self.text, self.raw) + 1 + inner.trim_end().len();
        let comma = if inner.trim().is_empty() && !edits.adds_at(end) { "" } else { "," };
        edits.replace(end..end, &format!("{comma}{gap}\"{key}\"{colon}{value}"));
    }
}

fn leading(text: &str) -> &str {
    &text[..text.len() - text.trim_start().len()]
}

/// Where a part of a text stands in it.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr()
}

/// The stretch of one value.
pub(crate) fn span(text: &str, raw: Raw<'_>) -> Range<usize> {
    let start = offset(text, raw.get());
    start..start + raw.get().len()
}

/// The text of a list or object without some of its members: `keep` says of each, by its number, whether it stays.
///
/// The values of the members are handed over in their order; all else stays as it is written.
pub(crate) fn without(text: &str, raw: Raw<'_>, values: &[Raw<'_>], keep: impl Fn(usize) -> bool) -> String {
    let whole = raw.get();
    let start = offset(text, whole);
    let (mut at, mut kept) = (1, Vec::new());
    for (number, value) in values.iter().enumerate() {
        let end = offset(text, value.get()) - start + value.get().len();
        if keep(number) {
            kept.push(&whole[at..end]);
        }
        // The comma behind it, or the end.
        at = end + whole[end..].find(',').map_or(0, |comma| comma + 1);
    }
    let last = values.last().map_or(1, |value| offset(text, value.get()) - start + value.get().len());
    let (open, close) = (&whole[..1], &whole[whole.len() - 1..]);
    if kept.is_empty() { format!("{open}{close}") } else { format!("{open}{}{}{close}", kept.join(","), &whole[last..whole.len() - 1]) }
}

/// Changes to a text, each to a stretch of it.
#[derive(Default)]
pub(crate) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    pub(crate) fn replace(&mut self, span: Range<usize>, with: &str) {
        self.0.push((span, with.to_owned()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something is added at that place already.
    fn adds_at(&self, at: usize) -> bool {
        self.0.iter().any(|(span, _)| *span == (at..at))
    }

    /// The text with all of them, those at one place in the order in which they came.
    pub(crate) fn applied(mut self, text: &str) -> String {
        self.0.sort_by_key(|(span, _)| (span.start, span.end));
        let mut new = String::with_capacity(text.len() + self.0.len() * 64);
        let mut at = 0;
        for (span, with) in &self.0 {
            new.push_str(&text[at..span.start]);
            new.push_str(with);
            at = span.end;
        }
        new.push_str(&text[at..]);
        new
    }
}

/// Parses the top of a registry.
///
/// # Errors
/// It is no JSON object with `agents` in it; the line is named.
pub(crate) fn top(text: &str) -> anyhow::Result<Top<'_>> {
    let top: Top<'_> = serde_json::from_str(text).context("it is no registry")?;
    anyhow::ensure!(top.agents.get().starts_with(['[', '{']), "it is no registry: its agents are neither a list nor an object");
    // Settings of other programs have agents by their names, too.
    let signs = [top.tasks, top.active_agents, top.total_agents_spawned, top.active_tasks];
    let is_registry = top.agents.get().starts_with('[') || signs.iter().any(Option::is_some);
    anyhow::ensure!(is_registry, "it is no registry: beside agents it has neither tasks nor numbers of them");
    Ok(top)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(text: &str, key: &str, value: &str) -> String {
        let Members(members) = serde_json::from_str(text).unwrap();
        let old = members.iter().find(|(name, _)| name == key).map(|(_, raw)| *raw);
        let mut edits = Edits::default();
        Object { text, raw: text.trim() }.set(&mut edits, key, old, value);
        edits.applied(text)
    }

    #[test]
    fn a_member_is_set_where_it_is_and_added_as_the_others_are_written() {
        assert_eq!(set("{\n  \"a\": 1,\n  \"b\": [\n    2\n  ]\n}", "a", "7"), "{\n  \"a\": 7,\n  \"b\": [\n    2\n  ]\n}");
        assert_eq!(set("{\n  \"a\": 1\n}", "b", "\"x\""), "{\n  \"a\": 1,\n  \"b\": \"x\"\n}");
        assert_eq!(set("{\"a\": 1, \"c\": 2}", "b", "3"), "{\"a\": 1, \"c\": 2, \"b\": 3}");
        assert_eq!(set("{\"a\":1}", "b", "3"), "{\"a\":1,\"b\":3}");
        assert_eq!(set("{}", "b", "3"), "{ \"b\": 3}");
        let mut edits = Edits::default();
        for (key, value) in [("a", "1"), ("b", "2")] {
            Object { text: "[{}]", raw: &"[{}]"[1..3] }.set(&mut edits, key, None, value);
        }
        assert_eq!(edits.applied("[{}]"), "[{ \"a\": 1, \"b\": 2}]");
    }

    #[test]
    fn a_value_on_one_line_is_the_same_value() {
        let text = "{\n  \"b\": 1.50,\n  \"a\": \"x \\\" \\\\\",\n  \"n\": [ 123456789012345678901234567890 ]\n}";
        assert_eq!(on_one_line(text), "{\"b\":1.50,\"a\":\"x \\\" \\\\\",\"n\":[123456789012345678901234567890]}");
    }

    #[test]
    fn a_null_is_a_value_that_is_there() {
        let fields: Fields<'_> = serde_json::from_str("{\"status\": null}").unwrap();
        assert_eq!((fields.status.map(RawValue::get), fields.id.is_some(), is_set(fields.status)), (Some("null"), false, false));
    }

    #[test]
    fn members_go_and_the_rest_stays_as_it_is_written() {
        let without_ones = |text: &str| {
            let raw: Raw<'_> = serde_json::from_str(text).unwrap();
            let values: Vec<Raw<'_>> = match serde_json::from_str(text) {
                Ok(values) => values,
                Err(_) => serde_json::from_str::<Members<'_>>(text).unwrap().0.into_iter().map(|(_, raw)| raw).collect(),
            };
            without(text, raw, &values, |number| values[number].get() != "1")
        };
        assert_eq!(without_ones("[\n  1,\n  2,\n  1\n]"), "[\n  2\n]");
        assert_eq!(without_ones("[1, 2, 3]"), "[ 2, 3]");
        assert_eq!(without_ones("{\n  \"a\": 1,\n  \"b, c\": 2\n}"), "{\n  \"b, c\": 2\n}");
        assert_eq!((without_ones("[\n  1\n]"), without_ones("{}")), ("[]".to_owned(), "{}".to_owned()));
    }

    proptest! {
        #[test]
        fn nothing_but_the_member_changes(value: i64, other in "[ -~é]{0,20}", indent in 0..5_usize) {
            let before = serde_json::json!({"first": other, "second": [1, {"x": null}], "third": 1.50});
            let text = if indent == 0 {
                before.to_string()
            } else {
                let gap = " ".repeat(indent);
                let formatter = serde_json::ser::PrettyFormatter::with_indent(gap.as_bytes());
                let mut bytes = Vec::new();
                serde::Serialize::serialize(&before, &mut serde_json::Serializer::with_formatter(&mut bytes, formatter)).unwrap();
                String::from_utf8(bytes).unwrap()
            };
            for key in ["second", "new"] {
                let after: serde_json::Value = serde_json::from_str(&set(&text, key, &value.to_string())).unwrap();
                let mut expected = before.clone();
                expected[key] = value.into();
                prop_assert_eq!(after, expected);
            }
        }
    }
}
