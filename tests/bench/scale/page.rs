//! docs/scale.md, and pages like it: what is measured goes between its marks, and to standard
//! output. What stands around the marks is written by hand.

use crate::Result;

/// The page; the benchmark runs where the repository is.
const PAGE: &str = "docs/scale.md";

/// Puts `body` in place of what is between the marks of `part`, and prints it.
pub(crate) fn write(part: &str, body: &str) -> Result<()> {
    write_into(PAGE, part, body)
}

/// The same, of another page.
pub(crate) fn write_into(file: &str, part: &str, body: &str) -> Result<()> {
    println!("{part}\n\n{body}");
    let page = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
    let page = replaced(&page, part, body).map_err(|missing| format!("{file} {missing}"))?;
    std::fs::write(file, page)?;
    Ok(())
}

fn replaced(page: &str, part: &str, body: &str) -> Result<String> {
    let (begin, end) = (
        format!("<!-- begin {part} -->"),
        format!("<!-- end {part} -->"),
    );
    let missing = || format!("has no {begin} … {end}");
    let (before, rest) = page.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
    let body = body.trim_end();
    Ok(format!("{before}{begin}\n\n{body}\n\n{end}{after}"))
}
