//! `where` and `by`: expressions in CEL, the Common Expression Language.
//!
//! The tree of an expression is checked before it runs. If an expression fails on an event, because a field is missing or a
//! text stands where a number is needed, the event is not selected.

use std::{fmt, sync::Arc};

use cel::{
    Context, Env, ExecutionError, FunctionContext, IdedExpr, ParseErrors, Value, add_member_overload,
    common::types::{CelBool, CelList, CelString},
};
use hourlog::{Error, ErrorKind, Event, Result};

use super::{
    check::{self, MATCHES, Regexes},
    values::{EventValues, Headers},
};

/// The deepest nesting of parentheses and operators.
const DEPTH_MAX: u16 = 32;

/// An expression that can be asked for events.
pub(super) struct Expression {
    source: String,
    tree: IdedExpr,
    context: Context<'static, 'static>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl Expression {
    /// Makes the expression that is this `part` of a request.
    pub(super) fn new(part: &'static str, source: &str) -> Result<Self> {
        let env = environment().map_err(undeclared)?;
        let parser = env.parser().max_recursion_depth(DEPTH_MAX);
        let (tree, places) = parser.parse_with_source_info(source).map_err(|errors| unreadable(part, &errors))?;
        let regexes = check::check(part, &tree, &places)?;
        let mut context = Context::with_env(Arc::new(env));
        let matches = move |call: &FunctionContext<'_, '_>| matches(&regexes, call);
        context.add_function(MATCHES, matches).map_err(undeclared)?;
        Ok(Self { source: source.to_owned(), tree, context })
    }

    /// Returns true if the expression is true for `event`.
    pub(super) fn selects(&self, event: &Event) -> bool {
        let values = EventValues::of(event);
        let mut scope = self.context.new_inner_scope();
        scope.set_variable_resolver(&values);
        matches!(scope.resolve(&self.tree), Ok(Value::Bool(true)))
    }

    /// Returns the value of the expression for `event` as a text, if it is one, a number, or true or false.
    pub(super) fn text_of(&self, event: &Event) -> Option<String> {
        let values = EventValues::of(event);
        let mut scope = self.context.new_inner_scope();
        scope.set_variable_resolver(&values);
        match scope.resolve(&self.tree).ok()? {
            Value::String(text) => Some(text.to_string()),
            Value::Int(number) => Some(number.to_string()),
            Value::UInt(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Bool(is) => Some(is.to_string()),
            _ => None,
        }
    }
}

/// The functions of CEL and ours, but not those that would run a pattern that was not checked.
fn environment() -> std::result::Result<Env, cel::DeclarationError> {
    let mut env = Env::stdlib();
    add_member_overload!(env, fn icontains: (CelString, CelString) -> CelBool, name = "icontains")?;
    add_member_overload!(env, fn starts_with: (CelString, CelString) -> CelBool, name = "starts_with")?;
    add_member_overload!(env, fn all_values: (Headers, CelString) -> CelList, name = "all")?;
    Ok(env)
}

fn icontains(text: &CelString<'_>, part: &CelString<'_>) -> CelBool {
    text.inner().to_lowercase().contains(&part.inner().to_lowercase()).into()
}

fn starts_with(text: &CelString<'_>, beginning: &CelString<'_>) -> CelBool {
    text.inner().starts_with(beginning.inner()).into()
}

fn all_values(headers: &Headers, name: &CelString<'_>) -> CelList<'static> {
    headers.all(name)
}

/// `matches`, with the regular expressions that were compiled before.
fn matches(regexes: &Regexes, call: &FunctionContext<'_, '_>) -> std::result::Result<bool, ExecutionError> {
    let mut texts = call.this.iter().chain(&call.args).map(|text| text.downcast_ref::<CelString<'_>>());
    let (Some(Some(text)), Some(Some(pattern))) = (texts.next(), texts.next()) else {
        return Err(call.error("a text is needed"));
    };
    let regex = regexes.get(pattern.inner()).ok_or_else(|| call.error("the pattern was not checked"))?;
    Ok(regex.is_match(text.inner().as_bytes()))
}

/// The error of a text that is not an expression, at its first wrong place.
fn unreadable(part: &str, errors: &ParseErrors) -> Error {
    match errors.errors.first() {
        Some(error) => {
            let (_, column) = error.pos;
            let reason = error.msg.strip_prefix("Syntax error: ").unwrap_or(&error.msg);
            Error::invalid(format!("{part}: in column {}: {reason}", column.max(1)))
        }
        None => Error::invalid(format!("{part} is not an expression")),
    }
}

fn undeclared(error: cel::DeclarationError) -> Error {
    Error::new(ErrorKind::Unexpected, "the functions of filters clash").because(error)
}
