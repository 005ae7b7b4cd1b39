//! The rules for expressions, checked on their tree: so small and so simple that each event takes a bounded time.

use std::collections::HashMap;

use cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SourceInfo, operators},
};
use hourlog::{Error, Result, text::regex};
use regex::bytes::Regex;

use super::values::NAMES;

/// The part of a request that must be true or false.
pub(super) const CONDITION: &str = "where";
/// The function whose pattern is compiled when the expression is made.
pub(super) const MATCHES: &str = "matches";
/// The most nodes of a tree, with those that macros add.
const NODES_MAX: usize = 200;
/// The most additions. Each may copy a text that is as long as an event.
const ADDITIONS_MAX: usize = 8;
/// Names that a loop may use beside its own: those that take little to compare.
const NAMES_IN_LOOPS: [&str; 3] = ["offset", "time", "log"];
/// Names of types, for `type(json.id) == string`.
const TYPES: [&str; 11] =
    ["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type", "google"];
/// Functions whose result may be true or false.
const PREDICATES: [&str; 8] =
    ["contains", "icontains", "endsWith", "startsWith", "starts_with", MATCHES, "bool", operators::IN];
const FUNCTIONS: [&str; 22] = [
    "all",
    "size",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "dyn",
    "type",
    "timestamp",
    "duration",
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    operators::NOT_STRICTLY_FALSE,
];

/// The regular expressions of an expression, by their patterns.
pub(super) type Regexes = HashMap<String, Regex>;

/// Checks an expression, and returns its regular expressions.
pub(super) fn check(part: &'static str, tree: &IdedExpr, places: &SourceInfo) -> Result<Regexes> {
    let mut check = Check { part, places, nodes: 0, additions: 0, loops: Vec::new(), regexes: Regexes::new() };
    check.node(tree)?;
    if part == CONDITION && !may_be_true(&tree.expr) {
        return Err(check.error(tree, "this is neither true nor false; compare it with something"));
    }
    Ok(check.regexes)
}

struct Check<'a> {
    /// The part of the request that the expression is.
    part: &'static str,
    places: &'a SourceInfo,
    nodes: usize,
    additions: usize,
    /// The names of the loop under way.
    loops: Vec<String>,
    regexes: Regexes,
}

impl Check<'_> {
    fn error(&self, node: &IdedExpr, reason: impl std::fmt::Display) -> Error {
        let part = self.part;
        match self.places.offset_for(node.id) {
            Some((start, _)) => Error::invalid(format!("{part}: in column {}: {reason}", start + 1)),
            None => Error::invalid(format!("{part}: {reason}")),
        }
    }

    fn nodes<'n>(&mut self, nodes: impl IntoIterator<Item = &'n IdedExpr>) -> Result<()> {
        nodes.into_iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &IdedExpr) -> Result<()> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let part = self.part;
            return Err(Error::invalid(format!("{part} has more than {NODES_MAX} parts; ask for less at once")));
        }
        match &node.expr {
            Expr::Unspecified => Err(self.error(node, "this cannot be read")),
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.name(node, name),
            Expr::Select(select) => self.node(&select.operand),
            Expr::List(list) => self.nodes(&list.elements),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => self.nodes([&entry.key, &entry.value]),
                EntryExpr::StructField(field) => self.node(&field.value),
            }),
            Expr::Struct(_) => Err(self.error(node, "messages cannot be made here")),
            Expr::Call(call) => self.call(node, call),
            Expr::Comprehension(comprehension) => self.comprehension(node, comprehension),
        }
    }

    fn name(&self, node: &IdedExpr, name: &str) -> Result<()> {
        if self.loops.iter().any(|own| own == name) {
            return Ok(());
        }
        if !self.loops.is_empty() && NAMES.contains(&name) && !NAMES_IN_LOOPS.contains(&name) {
            let own = &self.loops[0];
            return Err(
                self.error(node, format!("{name} cannot be used in a loop; compare {own} with something small"))
            );
        }
        if NAMES.contains(&name) || TYPES.contains(&name) {
            return Ok(());
        }
        Err(self.error(node, unknown("name", name, &NAMES)))
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr) -> Result<()> {
        let name = call.func_name.as_str();
        if ["map", "filter"].contains(&name) || name.starts_with("optional") {
            return Err(self.error(node, format!("{name} cannot be used in a filter; use exists")));
        }
        let is_operator = !name.starts_with(|first: char| first.is_ascii_alphabetic());
        if !is_operator && !PREDICATES.contains(&name) && !FUNCTIONS.contains(&name) {
            let known: Vec<&str> = PREDICATES.iter().chain(&FUNCTIONS).copied().collect();
            return Err(self.error(node, unknown("function", name, &known)));
        }
        if name == operators::ADD {
            self.additions += 1;
            if self.additions > ADDITIONS_MAX {
                return Err(self.error(node, format!("there are more than {ADDITIONS_MAX} additions; add less")));
            }
        }
        if name == MATCHES {
            self.pattern(node, call)?;
        }
        self.nodes(call.target.as_deref())?;
        self.nodes(&call.args)
    }

    /// Compiles the pattern of a call, which must be written out.
    fn pattern(&mut self, node: &IdedExpr, call: &CallExpr) -> Result<()> {
        let Some(IdedExpr { expr: Expr::Literal(LiteralValue::String(pattern)), .. }) = call.args.last() else {
            return Err(self.error(node, "matches needs a regular expression in quotes"));
        };
        let compiled = regex(pattern.inner()).map_err(|reason| self.error(node, reason))?;
        self.regexes.insert(pattern.inner().to_owned(), compiled);
        Ok(())
    }

    fn comprehension(&mut self, node: &IdedExpr, comprehension: &ComprehensionExpr) -> Result<()> {
        if !self.loops.is_empty() {
            return Err(self.error(node, "a loop cannot be in another one"));
        }
        if matches!(comprehension.accu_init.expr, Expr::List(_)) {
            return Err(self.error(node, "map and filter cannot be used in a filter; use exists"));
        }
        self.node(&comprehension.iter_range)?;
        self.loops.push(comprehension.iter_var.clone());
        self.loops.extend(comprehension.iter_var2.clone());
        self.loops.push(comprehension.accu_var.clone());
        let parts =
            [&comprehension.accu_init, &comprehension.loop_cond, &comprehension.loop_step, &comprehension.result];
        self.nodes(parts)?;
        self.loops.clear();
        Ok(())
    }
}

/// Returns false if an expression can never be true or false.
fn may_be_true(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(literal) => matches!(literal, LiteralValue::Boolean(_)),
        Expr::Ident(name) => !NAMES.contains(&name.as_str()),
        Expr::Select(_) | Expr::Comprehension(_) => true,
        Expr::Call(call) => match call.func_name.as_str() {
            operators::ADD
            | operators::SUBSTRACT
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO
            | operators::NEGATE => false,
            operators::CONDITIONAL => call.args.iter().skip(1).any(|arm| may_be_true(&arm.expr)),
            name => !FUNCTIONS.contains(&name),
        },
        Expr::Unspecified | Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => false,
    }
}

/// Says that a name is unknown, and the known one that is most like it.
fn unknown(kind: &str, name: &str, known: &[&str]) -> String {
    let near = known.iter().max_by(|a, b| strsim::jaro(name, a).total_cmp(&strsim::jaro(name, b)));
    match near {
        Some(near) if strsim::jaro(name, near) > 0.7 => format!("there is no {kind} {name}; did you mean {near}?"),
        _ => format!("there is no {kind} {name}; there are {}", known.join(", ")),
    }
}
