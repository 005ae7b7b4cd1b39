//! JSON, indented. It is the text as it was written: the order of fields, doubled fields and the digits of numbers stay.

/// Returns `json` with a line for each value. It may be cut off anywhere.
pub(crate) fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let (mut depth, mut rest) = (0_usize, json.trim_start());
    while let Some(letter) = rest.chars().next() {
        let (taken, after) = match letter {
            '"' => rest.split_at(string_end(rest)),
            _ => rest.split_at(letter.len_utf8()),
        };
        rest = after;
        match letter {
            '{' | '[' => {
                let inside = rest.trim_start();
                text.push(letter);
                if inside.starts_with(['}', ']']) {
                    text.push_str(&inside[..1]);
                    rest = &inside[1..];
                } else {
                    depth += 1;
                    break_line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                break_line(&mut text, depth);
                text.push(letter);
            }
            ',' => {
                text.push(letter);
                break_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            letter if letter.is_ascii_whitespace() => {}
            _ => text.push_str(taken),
        }
    }
    text
}

/// Returns the end of the string at the beginning of `json`.
fn string_end(json: &str) -> usize {
    let mut is_escaped = false;
    let end = json.bytes().enumerate().skip(1).find(|(_, byte)| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(json.len(), |(at, _)| at + 1)
}

fn break_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_digits_and_doubled_fields_stay() {
        let json = r#"{"b":23958446825181076828, "a":1.10,"a":[ ], "c" :{"d":"x, {y}: \"z\"","e":[1,null]}}"#;
        let expected = "{\n  \"b\": 23958446825181076828,\n  \"a\": 1.10,\n  \"a\": [],\n  \"c\": {\n    \
                        \"d\": \"x, {y}: \\\"z\\\"\",\n    \"e\": [\n      1,\n      null\n    ]\n  }\n}";
        assert_eq!(indented(json), expected);
        assert_eq!(indented("{}"), "{}");
        assert_eq!(indented(r#""\\""#), r#""\\""#);
    }

    #[test]
    fn a_text_that_is_cut_off_anywhere_is_shown_as_far_as_it_goes() {
        let json = r#"{"a":[1,{"b":"München, \u00fc"},-2.50e3],"c":"\\\"","d":[]}"#;
        let letters = |text: &str| text.split_whitespace().collect::<String>();
        for cut in 0..=json.chars().count() {
            let part: String = json.chars().take(cut).collect();
            assert_eq!(letters(&indented(&part)), letters(&part));
        }
    }
}
