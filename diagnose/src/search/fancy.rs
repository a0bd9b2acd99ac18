//! The outline of a pattern that only a backtracking engine can run: the literals that every line it matches contains.

use fancy_regex::{Expr, LookAround};
use regex_syntax::hir::{Dot, Hir, Repetition};

use super::pattern::parse;

/// A plain pattern that matches in every line in which this one does.
pub(crate) fn outline(pattern: &str) -> Result<Hir, String> {
    let tree = Expr::parse_tree(pattern).map_err(|e| format!("it cannot be parsed: {e}"))?;
    Ok(hir(&tree.expr))
}

fn hir(expr: &Expr) -> Hir {
    match expr {
        Expr::Literal { val, casei } => fragment(&regex_syntax::escape(val), *casei),
        Expr::LiteralBytes { bytes } => Hir::literal(bytes.as_slice()),
        Expr::Delegate { inner, casei } => fragment(inner, *casei),
        Expr::Concat(parts) => Hir::concat(parts.iter().map(hir).collect()),
        Expr::Alt(parts) => Hir::alternation(parts.iter().map(hir).collect()),
        Expr::Group(part) => hir(part),
        Expr::AtomicGroup(part) => hir(part),
        // What must stand ahead or behind is in the same line, though nobody knows how far away.
        Expr::LookAround(part, LookAround::LookAhead | LookAround::LookBehind) => Hir::concat(vec![anything(), hir(part), anything()]),
        Expr::LookAround(..) | Expr::Empty | Expr::Assertion(_) | Expr::KeepOut => Hir::empty(),
        Expr::Repeat { child, lo, hi, .. } => repeated(child, *lo, *hi),
        _ => anything(),
    }
}

fn repeated(child: &Expr, lo: usize, hi: usize) -> Hir {
    let [min, max] = [lo, hi].map(|times| u32::try_from(times).ok());
    Hir::repetition(Repetition { min: min.unwrap_or(u32::MAX), max, greedy: true, sub: Box::new(hir(child)) })
}

fn fragment(pattern: &str, casei: bool) -> Hir {
    let flags = if casei { "i" } else { "" };
    parse(&format!("(?{flags}:{pattern})")).unwrap_or_else(|_| anything())
}

fn anything() -> Hir {
    Hir::repetition(Repetition { min: 0, max: None, greedy: true, sub: Box::new(Hir::dot(Dot::AnyByte)) })
}
