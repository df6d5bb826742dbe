//! docs/scale.md: what is measured goes between its marks, and to standard
//! output. What stands around the marks is written by hand.

use crate::Result;

/// The page; the benchmark runs where the repository is.
const PAGE: &str = "docs/scale.md";

/// Puts `body` in place of what is between the marks of `part`, and prints it.
pub(crate) fn write(part: &str, body: &str) -> Result<()> {
    println!("{part}\n\n{body}");
    let page = std::fs::read_to_string(PAGE).map_err(|e| format!("{PAGE}: {e}"))?;
    std::fs::write(PAGE, replaced(&page, part, body)?)?;
    Ok(())
}

fn replaced(page: &str, part: &str, body: &str) -> Result<String> {
    let (begin, end) = (
        format!("<!-- begin {part} -->"),
        format!("<!-- end {part} -->"),
    );
    let missing = || format!("{PAGE} has no {begin} … {end}");
    let (before, rest) = page.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    let body = body.trim_end();
    Ok(format!("{before}{begin}\n\n{body}\n\n{end}{after}"))
}
