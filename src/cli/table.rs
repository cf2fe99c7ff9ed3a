//! One table, shown as text, JSON, CSV, Markdown or HTML.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{IsTerminal as _, Write as _},
};

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::domain::visible::is_unseen;

/// The narrowest that a column becomes.
const NARROW: usize = 6;
/// The blanks between two columns.
const GAP: usize = 2;
/// How many bytes of rows a Markdown page has. A comment on a pull request takes 65,536.
const COMMENT: usize = 55_000;
/// From how many rows a Markdown table is folded.
const FOLD: usize = 20;

/// How an answer is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns for a terminal.
    #[default]
    Text,
    /// One JSON object. Its field `format` names the version.
    Json,
    /// RFC 4180. No cell begins a formula.
    Csv,
    /// A table for a comment on a pull request.
    Markdown,
    /// One file without scripts.
    Html,
}

/// A value in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableCell {
    Text(String),
    Number(u64),
    Empty,
}

impl From<&str> for TableCell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for TableCell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for TableCell {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl<T: Into<TableCell>> From<Option<T>> for TableCell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

impl TableCell {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Empty => String::new(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number) => json!(number),
            Self::Empty => Value::Null,
        }
    }
}

/// An answer: lines, a table, and lines.
#[derive(Clone, Debug, Default)]
pub struct AnswerPage {
    /// The name of the JSON format, such as `who`.
    pub name: &'static str,
    /// What is said before the table.
    pub head: Vec<String>,
    /// The keys of the columns. A title is the key with blanks.
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<TableCell>>,
    /// The first column is a group: its rows follow each other below one heading.
    pub grouped: bool,
    /// What a heading says after the name of its group.
    pub headings: BTreeMap<String, String>,
    /// What is said after the table.
    pub foot: Vec<String>,
    /// The commands to go on with.
    pub next: Vec<String>,
}

impl AnswerPage {
    /// Returns the page in this format. `width` is that of the terminal, if there is one.
    #[must_use]
    pub fn render(&self, format: Format, width: Option<usize>) -> String {
        match format {
            Format::Text => self.as_text(width),
            Format::Json => self.as_json(),
            Format::Csv => self.as_csv(),
            Format::Markdown => self.as_markdown(),
            Format::Html => self.as_html(),
        }
    }

    /// Prints the page. A reader that has gone away is no error.
    ///
    /// # Errors
    /// When it cannot be written for another reason.
    pub fn print(&self, format: Format) -> Result<(), String> {
        print(&self.render(format, terminal_width()))
    }

    /// Returns the columns that are drawn: a group is not, because its heading has it.
    fn drawn(&self) -> &[&'static str] {
        self.columns.get(usize::from(self.grouped)..).unwrap_or_default()
    }

    /// Returns the rows that are drawn, each with the heading that goes before it.
    fn lines(&self) -> impl Iterator<Item = (Option<String>, &[TableCell])> {
        let mut group = None;
        self.rows.iter().map(move |row| {
            if !self.grouped {
                return (None, row.as_slice());
            }
            let name = row.first().map(TableCell::text).unwrap_or_default();
            let heading = (group.as_ref() != Some(&name)).then(|| match self.headings.get(&name) {
                Some(more) => format!("{name}  {more}"),
                None => name.clone(),
            });
            group = Some(name);
            (heading, row.get(1..).unwrap_or_default())
        })
    }

    fn as_text(&self, width: Option<usize>) -> String {
        let mut text = String::new();
        let put = |text: &mut String, line: &str| {
            let line = width.map_or_else(|| line.to_owned(), |width| cut(line, width));
            text.push_str(line.trim_end());
            text.push('\n');
        };
        self.head.iter().for_each(|line| wrapped(&mut text, line, width));
        let indent = if self.grouped { "  " } else { "" };
        if !self.rows.is_empty() {
            let titles: Vec<String> = self.drawn().iter().map(|key| title(key)).collect();
            let rows: Vec<(Option<String>, Vec<String>)> = self
                .lines()
                .map(|(heading, row)| {
                    let cells = row.iter().map(|cell| shown(&cell.text())).collect();
                    (heading, cells)
                })
                .collect();
            let mut widths: Vec<usize> = titles.iter().map(|title| title.width()).collect();
            for (_, row) in &rows {
                for (widest, cell) in widths.iter_mut().zip(row) {
                    *widest = (*widest).max(cell.width());
                }
            }
            if let Some(width) = width {
                shrink(&mut widths, width.saturating_sub(indent.len()));
            }
            let line = |cells: &[String]| {
                let padded: Vec<String> =
                    cells.iter().zip(&widths).map(|(cell, width)| pad(cell, *width)).collect();
                format!("{indent}{}", padded.join(&" ".repeat(GAP)))
            };
            if !text.is_empty() {
                text.push('\n');
            }
            put(&mut text, &line(&titles));
            for (heading, row) in &rows {
                if let Some(heading) = heading {
                    wrapped(&mut text, heading, width);
                }
                put(&mut text, &line(row));
            }
        }
        if !self.foot.is_empty() {
            text.push('\n');
            self.foot.iter().for_each(|line| wrapped(&mut text, line, width));
        }
        if !self.next.is_empty() {
            text.push('\n');
            self.next.iter().for_each(|line| put(&mut text, &format!("next: {line}")));
        }
        text
    }

    fn as_json(&self) -> String {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let fields = self.columns.iter().zip(row);
                Value::Object(
                    fields
                        .map(|(key, cell)| ((*key).to_owned(), cell.json()))
                        .collect::<Map<_, _>>(),
                )
            })
            .collect();
        let page = json!({
            "format": format!("bobsync/{}/v1", self.name),
            "rows": rows,
            "notes": self.foot,
        });
        format!("{page:#}\n")
    }

    fn as_csv(&self) -> String {
        let mut writer =
            csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        // A write to memory does not fail, and every row has as many cells as there are columns.
        let _ = writer.write_record(&self.columns);
        for row in &self.rows {
            let _ = writer.write_record(row.iter().map(|cell| without_formula(&cell.text())));
        }
        let bytes = writer.into_inner().unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    }

    fn as_markdown(&self) -> String {
        let mut text = String::new();
        for line in &self.head {
            let _ = writeln!(text, "{}\n", in_markdown(line));
        }
        let folded = self.rows.len() > FOLD;
        if folded {
            let _ = writeln!(text, "<details><summary>{} rows</summary>\n", self.rows.len());
        }
        if !self.rows.is_empty() {
            let titles: Vec<String> = self.columns.iter().map(|key| title(key)).collect();
            let _ = writeln!(text, "| {} |", titles.join(" | "));
            let _ = writeln!(text, "|{}", " --- |".repeat(titles.len()));
        }
        let mut left_out = 0;
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(|cell| in_markdown(&cell.text())).collect();
            let line = format!("| {} |", cells.join(" | "));
            if left_out > 0 || text.len() + line.len() > COMMENT {
                left_out += 1;
            } else {
                let _ = writeln!(text, "{line}");
            }
        }
        if left_out > 0 {
            let _ = writeln!(text, "\n{left_out} more rows do not fit; use -o csv or -o html");
        }
        if folded {
            text.push_str("\n</details>\n");
        }
        for line in &self.foot {
            let _ = writeln!(text, "\n{}", in_markdown(line));
        }
        text
    }

    fn as_html(&self) -> String {
        let mut text = String::from(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <title>bobsync</title><style>body{font:14px sans-serif;margin:2em}\
             table{border-collapse:collapse}\
             th,td{border-bottom:1px solid #999;padding:.3em .8em;text-align:left;\
             vertical-align:top;unicode-bidi:isolate}</style></head><body>\n",
        );
        for line in &self.head {
            let _ = writeln!(text, "<p>{}</p>", in_html(line));
        }
        if !self.rows.is_empty() {
            text.push_str("<table><thead><tr>");
            for key in &self.columns {
                let _ = write!(text, "<th>{}</th>", in_html(&title(key)));
            }
            text.push_str("</tr></thead><tbody>\n");
            for row in &self.rows {
                text.push_str("<tr>");
                for cell in row {
                    let _ = write!(text, "<td>{}</td>", in_html(&cell.text()));
                }
                text.push_str("</tr>\n");
            }
            text.push_str("</tbody></table>\n");
        }
        for line in &self.foot {
            let _ = writeln!(text, "<p>{}</p>", in_html(line));
        }
        text.push_str("</body></html>\n");
        text
    }
}

/// Writes to standard output. A reader that has gone away, such as `head`, is no error.
///
/// # Errors
/// When it cannot be written for another reason.
pub fn print(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("the answer cannot be written: {error}"))
        }
        _ => Ok(()),
    }
}

/// Returns the width of the terminal. `COLUMNS` decides if it is set. A file and a pipe have none.
fn terminal_width() -> Option<usize> {
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    set.filter(|columns| *columns > 0).or_else(|| {
        std::io::stdout()
            .is_terminal()
            .then(terminal_size::terminal_size)
            .flatten()
            .map(|(width, _)| usize::from(width.0))
    })
}

/// Returns the title of a column: its key in capitals, with blanks.
fn title(key: &str) -> String {
    let mut title = String::new();
    for c in key.chars() {
        if c.is_uppercase() {
            title.push(' ');
        }
        title.extend(c.to_uppercase());
    }
    title
}

/// Returns the text as a terminal may get it: without control characters, and without characters
/// that turn the direction of what follows.
fn shown(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).collect()
}

/// Makes the widest columns narrower until all fit.
fn shrink(widths: &mut [usize], width: usize) {
    loop {
        let total: usize = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        let over = total.saturating_sub(width);
        let Some(widest) = widths.iter_mut().max().filter(|widest| over > 0 && **widest > NARROW)
        else {
            return;
        };
        *widest -= 1;
    }
}

/// Returns the text in at most `width` columns of a terminal.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if kept.width() > width.saturating_sub(1) {
            kept.pop();
            break;
        }
    }
    // A mark that belongs to the next character would join the sign of the cut.
    let end = kept.trim_end_matches(|c: char| is_unseen(c) || c.width() == Some(0)).len();
    kept.truncate(end);
    if width > 0 {
        kept.push('…');
    }
    kept
}

fn pad(text: &str, width: usize) -> String {
    let mut text = cut(text, width);
    text.push_str(&" ".repeat(width.saturating_sub(text.width())));
    text
}

/// Writes a sentence, broken between words so that it fits.
fn wrapped(text: &mut String, line: &str, width: Option<usize>) {
    let line = shown(line);
    let Some(width) = width.filter(|width| line.width() > *width) else {
        text.push_str(line.trim_end());
        text.push('\n');
        return;
    };
    let mut at = 0;
    for word in line.split(' ') {
        if at > 0 && at + 1 + word.width() > width {
            text.push('\n');
            at = 0;
        }
        if at > 0 {
            text.push(' ');
            at += 1;
        }
        let word = cut(word, width);
        at += word.width();
        text.push_str(&word);
    }
    text.push('\n');
}

/// Returns a cell that no spreadsheet takes for a formula.
fn without_formula(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn in_markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            '\n' | '\r' => safe.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' => {
                safe.push('\\');
                safe.push(c);
            }
            _ => safe.push(c),
        }
    }
    // Without this, an address that begins so would call a user of the forge.
    match safe.strip_prefix('@') {
        Some(rest) => format!("&#64;{rest}"),
        None => safe,
    }
}

fn in_html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            _ => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that are hard to show, among them one that spreadsheets calculate.
    const NAMES: [&str; 6] = [
        "=HYPERLINK(\"http://x\",\"y\")@example.com",
        "محمد.علي@example.com",
        "สมชาย@example.com",
        "👩‍👩‍👧‍👦.family@example.com",
        "<b>|x|</b>\u{202e}\u{1b}[31m@example.com",
        "李小龍李小龍李小龍李小龍李小龍@example.com",
    ];

    fn page() -> AnswerPage {
        AnswerPage {
            name: "who",
            head: vec!["people/onelogin has 6 people, and this sentence is a long one".to_owned()],
            columns: vec!["integration", "employee", "people"],
            rows: NAMES
                .iter()
                .map(|name| vec!["people/onelogin".into(), (*name).into(), 7.into()])
                .collect(),
            next: vec!["bobsync who --failing --with-more-words".to_owned()],
            ..AnswerPage::default()
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_columns_are_aligned() {
        for width in [20, 40, 80, 200] {
            for grouped in [false, true] {
                let text = AnswerPage { grouped, ..page() }.render(Format::Text, Some(width));
                for line in text.lines() {
                    assert!(line.width() <= width, "{width}: {} {line}", line.width());
                }
            }
        }
        let text = page().render(Format::Text, Some(60));
        let ends: Vec<usize> = text
            .lines()
            .filter(|line| line.ends_with('7') || line.ends_with("PEOPLE"))
            .map(|line| {
                line.rfind(['7', 'P']).map_or(0, |at| line[..at].trim_end_matches("PEO").width())
            })
            .collect();
        assert_eq!(ends.len(), 7, "{text}");
        assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}\n{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }

    #[test]
    fn no_cell_of_a_csv_begins_a_formula_and_every_value_is_whole() {
        let text = page().render(Format::Csv, Some(20));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let cells: Vec<String> =
            reader.records().map(|row| row.expect("a row")[1].to_owned()).collect();
        assert_eq!(cells.len(), NAMES.len());
        assert_eq!(cells[0], format!("'{}", NAMES[0]));
        assert_eq!(cells[1..], NAMES[1..]);
        for begin in ["=1", "+1", "-1", "@x", "\tx", "\rx"] {
            assert!(without_formula(begin).starts_with('\''));
        }
        assert_eq!(without_formula("a=1"), "a=1");
    }

    #[test]
    fn json_has_its_format_and_numbers_and_whole_names() {
        let page: Value =
            serde_json::from_str(&page().render(Format::Json, Some(20))).expect("JSON");
        assert_eq!(page["format"], "bobsync/who/v1");
        let names: Vec<_> =
            page["rows"].as_array().expect("rows").iter().map(|row| &row["employee"]).collect();
        assert_eq!(names, NAMES.to_vec());
        assert_eq!(page["rows"][0]["people"], 7);
    }

    #[test]
    fn markdown_and_html_show_markup_as_text_and_markdown_fits_a_comment() {
        let html = page().render(Format::Html, None);
        assert!(!html.contains("<b>") && html.contains("&lt;b&gt;"), "{html}");
        assert!(!html.contains("<script") && !html.contains("http-equiv"));
        let markdown = page().render(Format::Markdown, None);
        assert!(!markdown.contains("<b>") && markdown.contains("\\|x\\|"), "{markdown}");
        let rows = page().rows.into_iter().cycle().take(10_000).collect();
        let long = AnswerPage { rows, ..page() }.render(Format::Markdown, None);
        assert!(long.len() < 60_000 && long.contains("more rows do not fit"), "{}", long.len());
        assert!(long.contains("<details>") && long.contains("</details>"));
    }

    #[test]
    fn rows_of_a_group_follow_one_heading() {
        let rows = [("a", "1"), ("a", "2"), ("b", "3")]
            .map(|(group, who)| vec![group.into(), who.into()])
            .to_vec();
        let page = AnswerPage {
            columns: vec!["reason", "employeeId"],
            rows,
            grouped: true,
            headings: [("a".to_owned(), "two of them".to_owned())].into(),
            ..AnswerPage::default()
        };
        assert_eq!(
            page.render(Format::Text, None),
            "  EMPLOYEE ID\na  two of them\n  1\n  2\nb\n  3\n"
        );
        assert!(page.render(Format::Csv, None).starts_with("reason,employeeId\r\na,1\r\n"));
    }
}
