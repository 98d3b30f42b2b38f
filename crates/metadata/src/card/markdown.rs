//! What the Markdown of a card says: headings, paragraphs, sections.

use super::{CARD_SECTION_MAX, fit};
use crate::text::Paragraph;

/// A heading and the text down to the next one. Level 0 is what stands before the first heading.
pub(super) struct Block {
    pub(super) level: usize,
    pub(super) heading: String,
    pub(super) text: String,
}

/// Cuts a text at its headings.
pub(super) fn split_headings(body: &str) -> Vec<Block> {
    let mut blocks = vec![Block { level: 0, heading: String::new(), text: String::new() }];
    let mut fence: Option<&str> = None;
    for line in body.lines() {
        let trimmed = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| trimmed.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            _ => {}
        }
        let level = line.bytes().take_while(|&b| b == b'#').count();
        let is_heading =
            fence.is_none() && (1..=6).contains(&level) && line[level..].starts_with([' ', '\t']);
        if is_heading {
            let heading = line[level..].trim().trim_end_matches('#').trim().to_owned();
            blocks.push(Block { level, heading, text: String::new() });
        } else if let Some(level) = underline(line).filter(|_| fence.is_none())
            && let Some(heading) = blocks.last_mut().and_then(|block| take_paragraph(&mut block.text))
        {
            blocks.push(Block { level, heading, text: String::new() });
        } else if let Some(block) = blocks.last_mut() {
            block.text.push_str(line.trim_end());
            block.text.push('\n');
        }
    }
    blocks
}

/// The level of the heading that this line makes of the paragraph above it (CommonMark 0.31, section 4.3).
fn underline(line: &str) -> Option<usize> {
    let marks = line.trim_end();
    let marks =
        marks.strip_prefix("   ").or(marks.strip_prefix("  ")).or(marks.strip_prefix(' ')).unwrap_or(marks);
    let all = |mark: char| !marks.is_empty() && marks.chars().all(|c| c == mark);
    if all('=') {
        Some(1)
    } else if all('-') {
        Some(2)
    } else {
        None
    }
}

/// Takes the paragraph that a text ends in, if it ends in one that can be a heading.
fn take_paragraph(text: &mut String) -> Option<String> {
    let start = text.trim_end_matches('\n').rfind("\n\n").map_or(0, |at| at + 2);
    let paragraph = &text[start..];
    let is_prose = !paragraph.trim().is_empty()
        && !text.ends_with("\n\n")
        && paragraph.lines().all(|line| {
            let begin = line.trim_start();
            !begin.starts_with(['|', '>', '<', '`', '~', '-', '+', '#', '=']) && !begin.starts_with("* ")
        });
    if !is_prose {
        return None;
    }
    let heading = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    text.truncate(start);
    Some(heading)
}

/// The first paragraph that is prose: no badges, tables, lists, quotes, HTML or code.
pub(super) fn first_paragraph(text: &str) -> Option<String> {
    let text = without_html_comments(text);
    let prose = |paragraph: &&str| {
        let begin = paragraph.trim_start();
        !begin.is_empty()
            && !begin.starts_with(['<', '!', '|', '>', '#', '`', '~', '*', '-', '+', '[', '=', '_'])
            || begin.starts_with("**")
    };
    let paragraph = text.split("\n\n").find(prose)?;
    let joined = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(cut(&strip_markup(&joined), CARD_SECTION_MAX))
}

/// The text of a section, without comments and placeholders, cut to a length that a descriptor can do with.
pub(super) fn section_text(text: &str) -> Option<Paragraph> {
    let mut text = without_html_comments(text).replace("[More Information Needed]", "");
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    fit(&cut(text.trim(), CARD_SECTION_MAX))
}

fn without_html_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        out.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out
}

/// Text without the marks of emphasis and code; links keep their text.
pub(super) fn strip_markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let link =
            rest[open..].split_once("](").and_then(|(label, after)| Some((label, after.split_once(')')?.1)));
        let Some((label, after)) = link else { break };
        out.push_str(rest[..open].trim_end_matches('!'));
        out.push_str(&label[1..]);
        rest = after;
    }
    out.push_str(rest);
    out.replace(['*', '`'], "").trim().to_owned()
}

/// At most `max` bytes, cut where a line or at least a character ends.
fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = text.char_indices().map(|(at, _)| at).take_while(|&at| at <= max - '…'.len_utf8()).last();
    let head = &text[..end.unwrap_or(0)];
    let head = head.rsplit_once(['\n', ' ']).map_or(head, |(head, _)| head);
    format!("{}…", head.trim_end())
}
