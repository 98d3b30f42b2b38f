//! The few colours, and how sizes and times are written for people.

use anstyle::{AnsiColor, Color, Style};

pub(crate) const ERROR: Style = coloured(AnsiColor::Red).bold();
pub(crate) const GOOD: Style = coloured(AnsiColor::Green).bold();
pub(crate) const WARN: Style = coloured(AnsiColor::Yellow).bold();
pub(crate) const HINT: Style = Style::new().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();

const fn coloured(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(color)))
}

pub(crate) use consign::words::{count, size};
pub(crate) use consign_metadata::shell_word;
