//! The time-line as a chart: a row for each step or service, bars over an axis of seconds.

use std::fmt::Write as _;

use super::{Kind, Outcome, Step, Timeline, latest, phases};

/// All lengths are in the picture's units (CSS pixels).
const WIDTH: f64 = 1120.0;
const MARGIN: f64 = 28.0;
const ROW: f64 = 21.0;
const BAR: f64 = 13.0;
const SECTION: f64 = 26.0;
const HEADER: f64 = 76.0;
const AXIS: f64 = 34.0;
/// Mean width of a character of a label.
const CHARACTER: f64 = 6.9;
/// Longer labels are cut (characters).
const LABEL_LIMIT: usize = 34;
/// More rows than anybody looks at: the rest is told as a number.
const ROWS_LIMIT: usize = 400;

const INK: &str = "#22272e";
const FAINT: &str = "#6b7280";
const GRID: &str = "#e5e7eb";
const FAILED: &str = "#d62839";

/// One line of the chart: a step, or all steps of a service.
struct Row<'a> {
    label: String,
    kind: Kind,
    steps: Vec<&'a Step>,
}

/// The picture; never larger than a few hundred kilobytes.
pub fn draw(timeline: &Timeline) -> String {
    let boot: Vec<&Step> = timeline.boot().collect();
    let down: Vec<&Step> = timeline.steps.iter().filter(|step| step.kind == Kind::Shutdown).collect();
    let mut body = String::new();
    let mut height = MARGIN;
    let title = format!("Boot: {}", duration(timeline.boot_end()));
    let parts: Vec<String> = phases(timeline)
        .iter()
        .map(|phase| format!("{} {}", heading(phase.kind), duration(phase.end - phase.start)))
        .collect();
    height = panel(&mut body, height, &title, &parts.join("  ·  "), &boot, 0.0);
    if let Some(start) = down.iter().map(|step| step.start).reduce(f64::min) {
        let end = latest(down.iter().copied());
        let title = format!("Shutdown: {}", duration(end - start));
        height = panel(&mut body, height + MARGIN, &title, "", &down, start);
    }
    height += MARGIN / 2.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
         height=\"{height:.0}\" role=\"img\" aria-label=\"{}\" font-family=\"'DejaVu Sans', Verdana, sans-serif\" \
         font-size=\"11.5\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n",
        escape(&title)
    )
}

/// Draws a chart of `steps` below `top`; the axis begins at `origin` seconds. Returns where it ends.
fn panel(out: &mut String, top: f64, title: &str, subtitle: &str, steps: &[&Step], origin: f64) -> f64 {
    let mut rows = rows(steps);
    let hidden = rows.len().saturating_sub(ROWS_LIMIT);
    rows.truncate(ROWS_LIMIT);
    let longest = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or_default();
    let left = MARGIN + (to_f64(longest) * CHARACTER).max(70.0) + 14.0;
    let span = (latest(steps.iter().copied()) - origin).max(1e-4);
    let scale = Scale { left, width: WIDTH - MARGIN - left - 64.0, origin, span };

    text(
        out,
        (MARGIN, top + 18.0),
        Style { size: 21.0, fill: INK, anchor: "start", weight: "600", halo: false },
        title,
    );
    text(out, (MARGIN, top + 40.0), Style { size: 12.5, fill: FAINT, ..Style::LABEL }, subtitle);
    legend(out, top + 18.0, steps);

    let sections = rows.chunk_by(|a, b| a.kind == b.kind).count();
    let body = top + if subtitle.is_empty() { HEADER - 20.0 } else { HEADER };
    let bottom = body + to_f64(rows.len()) * ROW + to_f64(sections) * SECTION;
    axis(out, &scale, body, bottom);

    let mut y = body;
    for section in rows.chunk_by(|a, b| a.kind == b.kind) {
        let Some(first) = section.first() else { continue };
        y += SECTION;
        let style = Style { size: 11.5, fill: FAINT, anchor: "start", weight: "600", halo: false };
        text(out, (MARGIN, y - 7.0), style, &heading(first.kind).to_uppercase());
        for row in section {
            draw_row(out, &scale, y, row);
            y += ROW;
        }
    }
    if hidden > 0 {
        text(out, (MARGIN, y + AXIS + 8.0), Style::LABEL, &format!("and {hidden} more"));
        y += ROW;
    }
    y + AXIS
}

/// Steps in rows: by kind, then in the order in which they began; a service's steps share one.
fn rows<'a>(steps: &[&'a Step]) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = Vec::new();
    for &step in steps {
        let (label, shared) = match (step.kind, step.name.rsplit_once('/')) {
            (Kind::Service, Some((service, _))) => (service, true),
            (Kind::Pid1, Some((_, name))) => (name, false),
            _ => (step.name.as_str(), false),
        };
        let label = cut(label);
        match rows.iter_mut().find(|row| shared && row.kind == step.kind && row.label == label) {
            Some(row) => row.steps.push(step),
            None => rows.push(Row { label, kind: step.kind, steps: vec![step] }),
        }
    }
    let start = |row: &Row| row.steps.iter().map(|step| step.start).fold(f64::INFINITY, f64::min);
    rows.sort_by(|a, b| a.kind.cmp(&b.kind).then(start(a).total_cmp(&start(b))));
    rows
}

fn draw_row(out: &mut String, scale: &Scale, y: f64, row: &Row) {
    let failed = row.steps.iter().any(|step| step.outcome == Outcome::Failed);
    let fill = if failed { FAILED } else { INK };
    text(out, (scale.left - 14.0, y + 14.0), Style { anchor: "end", fill, ..Style::LABEL }, &row.label);
    let end = scale.origin + scale.span;
    let mut last = scale.left;
    let mut first = scale.left + scale.width;
    for step in &row.steps {
        let (x0, x1) = (scale.x(step.start), scale.x(step.end.unwrap_or(end)));
        let width = (x1 - x0).max(1.5);
        let (fill, rest) = match step.outcome {
            Outcome::Ok => (colour(step), ""),
            Outcome::Failed => (FAILED, ""),
            Outcome::Running => {
                (colour(step), " fill-opacity=\"0.35\" stroke=\"#6b7280\" stroke-dasharray=\"3 2\"")
            }
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "<rect x=\"{x0:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"1.5\" fill=\"{fill}\"{rest}>\
             <title>{}</title></rect>",
            y + (ROW - BAR) / 2.0,
            escape(&tooltip(step))
        );
        (first, last) = (first.min(x0), last.max(x0 + width));
    }
    let style = Style { size: 10.5, fill: if failed { FAILED } else { FAINT }, halo: true, ..Style::LABEL };
    write_beside(out, y + 14.0, scale.left, (first, last), style, &words(row));
}

/// Writes `words` where there is room: right of the bars, left of them, or on them.
fn write_beside(out: &mut String, y: f64, left: f64, bars: (f64, f64), style: Style, words: &str) {
    let (first, last) = bars;
    let fits = |room: f64| to_usize(((room - 6.0) / 6.3).max(0.0));
    let places = [
        (fits(WIDTH - MARGIN / 2.0 - last), last + 6.0, style),
        (fits(first - left), first - 6.0, Style { anchor: "end", ..style }),
        (fits(last - first - 6.0), last - 6.0, Style { anchor: "end", fill: "#fff", halo: false, ..style }),
    ];
    let whole = places.iter().find(|(room, ..)| *room >= words.chars().count());
    let widest = places.iter().max_by_key(|(room, ..)| *room);
    if let Some((room, x, style)) = whole.or(widest) {
        text(out, (*x, y), *style, &cut_to(words, *room));
    }
}

/// What stands beside a row's bars.
fn words(row: &Row) -> String {
    let start = row.steps.iter().map(|step| step.start).fold(f64::INFINITY, f64::min);
    let running = row.steps.iter().any(|step| step.outcome == Outcome::Running);
    let failure = row.steps.iter().find(|step| step.outcome == Outcome::Failed);
    let took = duration(latest(row.steps.iter().copied()) - start);
    match (failure, running) {
        (Some(step), _) if step.detail.is_empty() => format!("{took}, failed"),
        (Some(step), _) => format!("{took}, failed: {}", cut_to(&step.detail, 60)),
        (None, true) => "not done".to_owned(),
        (None, false) => took,
    }
}

fn tooltip(step: &Step) -> String {
    let took = step.took().map_or_else(|| "not done".to_owned(), duration);
    let detail = if step.detail.is_empty() { String::new() } else { format!(": {}", step.detail) };
    format!("{} {}, from {:.6} s, {took}{detail}", step.kind.word(), step.name, step.start)
}

/// What a kind is called in headings.
fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::Kernel => "kernel",
        Kind::Pid1 => "init",
        Kind::Onboot => "onboot",
        Kind::Engine => "engine",
        Kind::Service => "services",
        Kind::Shutdown => "shutdown",
    }
}

fn colour(step: &Step) -> &'static str {
    match step.kind {
        Kind::Kernel => "#8d99ae",
        Kind::Pid1 => "#4c78a8",
        Kind::Onboot => "#e9a23b",
        Kind::Engine => "#9b72cf",
        Kind::Service => match step.name.rsplit_once('/') {
            Some((_, "create")) => "#1b7f79",
            Some((_, "ready")) => "#a7d8a0",
            _ => "#45b19c",
        },
        Kind::Shutdown => "#64748b",
    }
}

/// What the shades of a service's bar mean, where there are any.
fn legend(out: &mut String, y: f64, steps: &[&Step]) {
    let mut x = WIDTH - MARGIN;
    for part in ["ready", "start", "create"] {
        let named = |step: &&&Step| {
            step.kind == Kind::Service && step.name.rsplit_once('/').is_some_and(|(_, p)| p == part)
        };
        if let Some(step) = steps.iter().find(named) {
            x -= to_f64(part.len()) * CHARACTER + 4.0;
            text(out, (x, y), Style { fill: FAINT, ..Style::LABEL }, part);
            x -= 16.0;
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"11\" height=\"11\" rx=\"1.5\" fill=\"{}\"/>",
                y - 9.5,
                colour(step)
            );
            x -= 12.0;
        }
    }
}

/// Where a moment is on the axis.
struct Scale {
    left: f64,
    width: f64,
    origin: f64,
    span: f64,
}

impl Scale {
    fn x(&self, time: f64) -> f64 {
        self.left + ((time - self.origin) / self.span).clamp(0.0, 1.0) * self.width
    }
}

/// The grid, with the seconds above and below.
fn axis(out: &mut String, scale: &Scale, top: f64, bottom: f64) {
    let step = tick(scale.span);
    let decimals = to_usize((-step.log10().floor()).max(0.0));
    let mut index = 0.0;
    while index * step <= scale.span * 1.0001 {
        let x = scale.x(scale.origin + index * step);
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"{GRID}\"/>",
            top,
            bottom + 6.0
        );
        let style = Style { anchor: "middle", fill: FAINT, ..Style::LABEL };
        let label = format!("{:.decimals$} s", index * step);
        text(out, (x, top - 7.0), Style { size: 10.5, ..style }, &label);
        text(out, (x, bottom + 20.0), Style { size: 10.5, ..style }, &label);
        index += 1.0;
    }
}

/// The distance of the grid's lines: 1, 2 or 5 times a power of ten, for at most ten of them.
fn tick(span: f64) -> f64 {
    let power = 10_f64.powf((span / 10.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| span / step <= 10.0)
        .unwrap_or(span)
}

#[derive(Clone, Copy)]
struct Style {
    size: f64,
    fill: &'static str,
    anchor: &'static str,
    weight: &'static str,
    /// White around the letters, where lines of the grid cross them.
    halo: bool,
}

impl Style {
    const LABEL: Self = Self { size: 11.5, fill: INK, anchor: "start", weight: "400", halo: false };
}

fn text(out: &mut String, (x, y): (f64, f64), style: Style, text: &str) {
    let Style { size, fill, anchor, weight, halo } = style;
    let halo = if halo { " stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\"" } else { "" };
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{fill}\" text-anchor=\"{anchor}\" \
         font-weight=\"{weight}\"{halo}>{}</text>",
        escape(text)
    );
}

/// A duration in the unit that suits it.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s >= 9.9995 => format!("{s:.2} s"),
        s if s >= 0.9995 => format!("{s:.3} s"),
        s if s >= 0.009_95 => format!("{:.0} ms", s * 1e3),
        s => format!("{:.1} ms", s * 1e3),
    }
}

fn cut(text: &str) -> String {
    cut_to(text, LABEL_LIMIT)
}

fn cut_to(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit.saturating_sub(1)).collect();
    if limit > 0 {
        short.push('…');
    }
    short
}

/// Text that XML 1.0 takes, in an element or between double quotes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

fn to_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn to_usize(number: f64) -> usize {
    // Saturates; the numbers here are small.
    number as usize
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn step(kind: Kind, name: &str, start: u64, end: u64) -> Step {
        Step::done(kind, name, Duration::from_millis(start), Duration::from_millis(end))
    }

    fn chart(steps: Vec<Step>) -> String {
        Timeline { steps, ..Timeline::default() }.svg()
    }

    #[test]
    fn the_title_tells_the_whole_and_the_line_below_it_the_parts() {
        let svg = chart(vec![
            step(Kind::Kernel, "kernel", 0, 2000),
            step(Kind::Pid1, "pid1/mounts", 2000, 2050),
            step(Kind::Service, "slapd/create", 2100, 2250),
            step(Kind::Service, "slapd/start", 2250, 2500),
            step(Kind::Shutdown, "services", 90_000, 90_120),
        ]);
        assert!(svg.contains(">Boot: 2.500 s<"), "{svg}");
        assert!(svg.contains(">kernel 2.000 s  ·  init 50 ms  ·  services 450 ms<"));
        assert!(svg.contains(">Shutdown: 120 ms<"));
        assert_eq!(svg.matches(">slapd<").count(), 1);
        assert!(svg.contains(">400 ms<") && svg.contains(">mounts<"));
        assert!(svg.contains("slapd/start, from 2.250000 s, 250 ms"));
    }

    #[test]
    fn a_failed_step_is_red_and_says_why() {
        let mut failed = step(Kind::Onboot, "001-net", 0, 10);
        failed.outcome = Outcome::Failed;
        failed.detail = "exited with code 1".into();
        let svg = chart(vec![failed]);
        assert!(svg.contains(&format!("fill=\"{FAILED}\"")));
        assert!(svg.contains("failed: exited with code 1"));
    }

    #[test]
    fn hostile_names_cannot_leave_the_picture() {
        let svg = chart(vec![step(Kind::Onboot, "\"/><script>alert(1)</script>&\u{1}", 0, 10)]);
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;") && !svg.contains('\u{1}'));
    }

    #[test]
    fn the_grid_has_round_distances() {
        for (span, expected) in [(0.05, 0.005), (0.9, 0.1), (1.01, 0.2), (3.4, 0.5), (9.0, 1.0), (42.0, 5.0)]
        {
            assert!((tick(span) - expected).abs() < expected * 1e-9, "{span}: {}", tick(span));
        }
    }

    #[test]
    fn nothing_and_too_much_are_drawn_too() {
        assert!(chart(Vec::new()).contains("Boot: 0.0 ms"));
        let steps = (0..2000).map(|n| step(Kind::Onboot, &format!("{n:03}-step"), n, n + 1)).collect();
        let svg = chart(steps);
        assert!(svg.contains("and 1600 more") && svg.len() < 400_000, "{}", svg.len());
    }
}
