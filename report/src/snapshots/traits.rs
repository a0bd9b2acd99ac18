//! In what two states of a path differ besides their content: mode, owner, time and extended attributes.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Traits {
    before: State,
    after: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    mode: Option<String>,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime: Option<String>,
    xattrs: Vec<Attribute>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Attribute {
    name: String,
    value: String,
}

impl Traits {
    /// What differs, behind what else does. The time is told where it alone does: it is another one wherever something was written.
    pub(crate) fn told(&self, besides: Option<String>) -> String {
        let Self { before, after } = self;
        let xattrs = (before.xattrs != after.xattrs).then(|| "extended attributes".to_owned());
        let parts: Vec<String> = besides.into_iter().chain(self.mode()).chain(self.owner()).chain(xattrs).collect();
        if parts.is_empty() && before.mtime != after.mtime {
            return "time".to_owned();
        }
        parts.join(", ")
    }

    fn mode(&self) -> Option<String> {
        let (was, is) = self.before.mode.as_ref().zip(self.after.mode.as_ref())?;
        (was != is).then(|| format!("mode {was} → {is}"))
    }

    fn owner(&self) -> Option<String> {
        let differ = |of: fn(&State) -> Option<u32>| of(&self.before).zip(of(&self.after)).filter(|(was, is)| was != is);
        match (differ(|state| state.uid), differ(|state| state.gid)) {
            (Some((owner, to)), Some((group, to_group))) => Some(format!("owner {owner}:{group} → {to}:{to_group}")),
            (Some((owner, to)), None) => Some(format!("owner {owner} → {to}")),
            (None, Some((group, to))) => Some(format!("group {group} → {to}")),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn each_trait_has_its_words() {
        let told = |before: Value, after: Value| Traits::deserialize(json!({"before": before, "after": after})).unwrap().told(None);
        assert_eq!(told(json!({"mode": "0644", "mtime": "1.0"}), json!({"mode": "0755", "mtime": "2.0"})), "mode 0644 → 0755");
        assert_eq!(told(json!({"uid": 0, "gid": 0}), json!({"uid": 7, "gid": 8})), "owner 0:0 → 7:8");
        assert_eq!(told(json!({"uid": 0, "gid": 0}), json!({"uid": 7, "gid": 0})), "owner 0 → 7");
        assert_eq!(told(json!({"gid": 0}), json!({"gid": 8})), "group 0 → 8");
        assert_eq!(told(json!({}), json!({"xattrs": [{"name": "user.a", "value": "Z2l0"}]})), "extended attributes");
        assert_eq!(told(json!({"mtime": "1.0"}), json!({"mtime": "2.0"})), "time");
        assert_eq!(told(json!({}), json!({})), "");
    }
}
