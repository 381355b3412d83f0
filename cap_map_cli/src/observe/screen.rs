//! The screen of `watch`: components, the slots of the selected one, and who holds the selected
//! badge.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table, TableState};
use ratatui::{DefaultTerminal, Frame};
use signal_hook::consts::SIGTSTP;
use signal_hook::{flag, low_level};

use super::watch::{Order, Recorder, Tick, Watched};
use crate::live::leaks::{Growth, Mark};
use crate::live::report::{Row as SlotRow, quoted};
use crate::live::who::Holders;
use crate::process::{ending_signals, leave_screen_by};
use crate::table::escaped;

/// How long keys may wait for a look at what signals have come.
const POLL: Duration = Duration::from_millis(100);

const HELP: &str = "\
 up down k j   select a component, or a slot
 tab           go to the slots of the component, and back
 s             sort by the next column
 w             who holds a badge: type its number, then enter; esc ends it
 m             mark the counts of now
 l             leaks: what has grown since the mark
 p, space      pause
 q             quit";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Focus {
    Components,
    Slots,
}

/// What the lower half shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lower {
    Slots,
    Leaks,
    Help,
}

/// All that is shown, and what keys change.
struct Screen {
    name: String,
    tick: Tick,
    /// Numbers of components in the order in which they are shown.
    shown: Vec<usize>,
    order: Order,
    focus: Focus,
    lower: Lower,
    paused: bool,
    mark: Option<Mark>,
    growth: Option<Growth>,
    /// The component and the slot that are selected, which stay so when others come and go.
    component: Option<(Option<u64>, u64)>,
    slot: Option<u32>,
    /// A number that is being typed.
    typed: Option<String>,
    /// A badge that was asked for, instead of that of the selected slot.
    asked: Option<u32>,
}

/// Shows the screen until the user has enough, or a signal ends the program: its number.
pub(super) fn show(
    name: &str,
    mut watched: Watched,
    interval: Duration,
    mut recorder: Option<Recorder>,
) -> Result<Option<i32>> {
    // The first look says what is wrong before the terminal changes.
    let tick = watched.look()?;
    let signal = Arc::new(AtomicUsize::new(0));
    for number in ending_signals()? {
        let value = usize::try_from(number)?;
        flag::register_usize(number, Arc::clone(&signal), value).context("signal handlers")?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    flag::register(SIGTSTP, Arc::clone(&stop)).context("signal handlers")?;

    let mut screen = Screen::new(name, tick);
    let mut terminal = ratatui::try_init().context("the terminal")?;
    leave_screen_by(ratatui::restore);
    let result = screen.run(&mut terminal, &mut watched, interval, &mut recorder, &signal, &stop);
    ratatui::restore();
    result?;
    let signal = i32::try_from(signal.load(Ordering::Relaxed))?;
    Ok((signal != 0).then_some(signal))
}

impl Screen {
    fn new(name: &str, tick: Tick) -> Self {
        let mut screen = Screen {
            name: name.to_owned(),
            tick,
            shown: Vec::new(),
            order: Order::Place,
            focus: Focus::Components,
            lower: Lower::Slots,
            paused: false,
            mark: None,
            growth: None,
            component: None,
            slot: None,
            typed: None,
            asked: None,
        };
        screen.sort();
        screen
    }

    fn run(
        &mut self,
        terminal: &mut DefaultTerminal,
        watched: &mut Watched,
        interval: Duration,
        recorder: &mut Option<Recorder>,
        signal: &AtomicUsize,
        stop: &AtomicBool,
    ) -> Result<()> {
        let mut last = Instant::now();
        while signal.load(Ordering::Relaxed) == 0 {
            terminal.draw(|frame| self.draw(frame)).context("the terminal")?;
            let wait = POLL.min(interval.saturating_sub(last.elapsed()));
            if event::poll(wait).context("the terminal")?
                && let Event::Key(key) = event::read().context("the terminal")?
                && key.kind != KeyEventKind::Release
            {
                let control = key.modifiers.contains(KeyModifiers::CONTROL);
                match key.code {
                    KeyCode::Char('c') if control => return Ok(()),
                    KeyCode::Char('z') if control => stop.store(true, Ordering::Relaxed),
                    _ if self.key(key) => return Ok(()),
                    _ => {}
                }
            }
            if stop.swap(false, Ordering::Relaxed) {
                ratatui::restore();
                low_level::emulate_default_handler(SIGTSTP).context("stopping")?;
                *terminal = ratatui::try_init().context("the terminal")?;
            }
            if !self.paused && last.elapsed() >= interval {
                last = Instant::now();
                self.take(watched.look()?);
                if let Some(recorder) = recorder {
                    recorder.add(&self.tick)?;
                }
            }
        }
        Ok(())
    }

    /// Takes up a new look.
    fn take(&mut self, tick: Tick) {
        self.tick = tick;
        self.sort();
        self.compare();
    }

    fn compare(&mut self) {
        let now = || self.tick.machine.mark();
        self.growth = self.mark.as_ref().map(|mark| now().growth_since(mark));
    }

    fn sort(&mut self) {
        self.shown = self.tick.sorted(self.order);
    }

    /// The place of the selected component in the list; the first one if it is gone.
    fn selected(&self) -> usize {
        let is_it = |i: &&usize| {
            let component = &self.tick.components[**i];
            Some((component.address, component.instance)) == self.component
        };
        let place = self.shown.iter().enumerate().find(|(_, i)| is_it(i));
        place.map_or(0, |(place, _)| place)
    }

    fn slots(&self) -> Vec<SlotRow> {
        let component = self.shown.get(self.selected()).map(|i| &self.tick.components[*i]);
        let address = component.and_then(|component| component.address);
        address.map_or(Vec::new(), |address| self.tick.machine.rows_at(address))
    }

    fn selected_slot(&self, slots: &[SlotRow]) -> usize {
        slots.iter().position(|row| Some(row.slot) == self.slot).unwrap_or(0)
    }

    /// Does what a key asks for; whether that is to end.
    fn key(&mut self, key: KeyEvent) -> bool {
        if let Some(typed) = &mut self.typed {
            match key.code {
                KeyCode::Char(digit) if digit.is_ascii_digit() && typed.len() < 9 => {
                    typed.push(digit)
                }
                KeyCode::Backspace => drop(typed.pop()),
                KeyCode::Enter => {
                    self.asked = typed.parse().ok();
                    self.typed = None;
                    self.lower = Lower::Slots;
                }
                KeyCode::Esc => self.typed = None,
                _ => {}
            }
            return false;
        }
        match key.code {
            KeyCode::Char('q') => return true,
            KeyCode::Down | KeyCode::Char('j') => self.go(1),
            KeyCode::Up | KeyCode::Char('k') => self.go(-1),
            KeyCode::PageDown => self.go(10),
            KeyCode::PageUp => self.go(-10),
            KeyCode::Tab | KeyCode::Enter => {
                self.lower = Lower::Slots;
                self.focus = match self.focus {
                    Focus::Components => Focus::Slots,
                    Focus::Slots => Focus::Components,
                };
            }
            KeyCode::Char('s') => {
                self.order = self.order.next();
                self.sort();
            }
            KeyCode::Char('w') => self.typed = Some(String::new()),
            KeyCode::Char('m') => {
                self.mark = Some(self.tick.machine.mark());
                self.compare();
            }
            KeyCode::Char('l') => self.toggle(Lower::Leaks),
            KeyCode::Char('?' | 'h') => self.toggle(Lower::Help),
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Esc => (self.asked, self.lower) = (None, Lower::Slots),
            _ => {}
        }
        false
    }

    fn toggle(&mut self, lower: Lower) {
        self.lower = if self.lower == lower { Lower::Slots } else { lower };
    }

    /// Moves the selection.
    fn go(&mut self, steps: isize) {
        let to = |place: usize, count: usize| {
            place.saturating_add_signed(steps).min(count.saturating_sub(1))
        };
        match self.focus {
            Focus::Components => {
                let place = to(self.selected(), self.shown.len());
                let component = self.shown.get(place).map(|i| &self.tick.components[*i]);
                self.component = component.map(|component| (component.address, component.instance));
                self.slot = None;
            }
            Focus::Slots => {
                let slots = self.slots();
                let place = to(self.selected_slot(&slots), slots.len());
                self.slot = slots.get(place).map(|row| row.slot);
            }
        }
    }

    fn draw(&self, frame: &mut Frame<'_>) {
        let rows = u16::try_from(self.shown.len()).unwrap_or(u16::MAX).saturating_add(3);
        let upper = Constraint::Max(rows.min(frame.area().height / 2));
        let areas = Layout::vertical([
            Constraint::Length(1),
            upper,
            Constraint::Min(3),
            Constraint::Length(1),
        ]);
        let [title, upper, lower, keys] = areas.areas(frame.area());
        frame.render_widget(Paragraph::new(self.title()).style(bold()), title);
        self.draw_components(frame, upper);
        match self.lower {
            Lower::Slots => self.draw_slots(frame, lower),
            Lower::Leaks => self.draw_leaks(frame, lower),
            Lower::Help => {
                let help = Paragraph::new(HELP).block(Block::bordered().title(" keys "));
                frame.render_widget(help, lower);
            }
        }
        let line = match &self.typed {
            Some(typed) => format!(" badge: {typed}_"),
            None => {
                " q quit  tab slots  s sort  w who  m mark  l leaks  p pause  ? help".to_owned()
            }
        };
        frame.render_widget(Paragraph::new(line).style(Style::new().fg(Color::Cyan)), keys);
    }

    fn title(&self) -> String {
        let machine = &self.tick.machine;
        let instant = if machine.one_instant { "one instant" } else { "several instants" };
        let paused = if self.paused { "  PAUSED" } else { "" };
        let doubts = match machine.doubts.len() {
            0 => String::new(),
            count => format!("  {count} doubts, see scan"),
        };
        format!(
            " {}  {}/{} MiB  {instant}  by {}{paused}{doubts}",
            escaped(&self.name),
            machine.seen >> 20,
            machine.memory >> 20,
            self.order.name()
        )
    }

    fn draw_components(&self, frame: &mut Frame<'_>, area: Rect) {
        let number =
            |number: Option<usize>| number.map_or(String::new(), |number| number.to_string());
        let row = |i: &usize| {
            let component = &self.tick.components[*i];
            let rate = self.tick.rates[*i].map_or(String::new(), |rate| format!("{rate:.0}"));
            let style = match component.state {
                "dead" => Style::new().fg(Color::DarkGray),
                "unknown" => Style::new().fg(Color::Red),
                _ if component.dangling > Some(0) => Style::new().fg(Color::Yellow),
                _ => Style::new(),
            };
            let numbers = [
                component.used.to_string(),
                component.detached.to_string(),
                number(component.dangling),
                number(component.made),
                rate,
            ];
            let numbers = numbers.map(right);
            let label = Cell::from(escaped(&component.label));
            Row::new([label, component.state.into()].into_iter().chain(numbers)).style(style)
        };
        let head =
            ["used", "detached", "dangling", "made", "writes/s"].map(|text| right(text.to_owned()));
        let head = Row::new([Cell::from("component"), "state".into()].into_iter().chain(head));
        let widths = [
            Constraint::Fill(1),
            Constraint::Length(7),
            Constraint::Length(6),
            Constraint::Length(8),
            Constraint::Length(8),
            Constraint::Length(6),
            Constraint::Length(8),
        ];
        let table = Table::new(self.shown.iter().map(row), widths)
            .header(head.style(bold()))
            .block(Block::bordered().title(" components "))
            .row_highlight_style(highlight(self.focus == Focus::Components));
        let mut state = TableState::default().with_selected(self.selected());
        frame.render_stateful_widget(table, area, &mut state);
    }

    fn draw_slots(&self, frame: &mut Frame<'_>, area: Rect) {
        let [left, right_half] =
            Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)])
                .areas(area);
        let slots = self.slots();
        let row = |row: &SlotRow| {
            let object = short(row.object.as_deref().unwrap_or_default());
            let creator = row.creator.as_deref().map_or(String::new(), escaped);
            let style =
                if object == "gone" { Style::new().fg(Color::Yellow) } else { Style::new() };
            let cells = [
                right(row.slot.to_string()),
                Cell::from(row.state),
                right(row.badge.to_string()),
                Cell::from(object.to_owned()),
                Cell::from(creator),
            ];
            Row::new(cells).style(style)
        };
        let widths = [
            Constraint::Length(6),
            Constraint::Length(8),
            Constraint::Length(9),
            Constraint::Length(7),
            Constraint::Fill(1),
        ];
        let head = Row::new(["  slot", "state", "    badge", "object", "made by"]).style(bold());
        let table = Table::new(slots.iter().map(row), widths)
            .header(head)
            .block(Block::bordered().title(" slots "))
            .row_highlight_style(highlight(self.focus == Focus::Slots));
        let place = self.selected_slot(&slots);
        let mut state = TableState::default().with_selected(place);
        frame.render_stateful_widget(table, left, &mut state);

        let badge = self.asked.or_else(|| slots.get(place).map(|row| row.badge));
        let lines = badge
            .filter(|badge| *badge != 0)
            .map_or(Vec::new(), |badge| holders_text(&self.tick.machine.holders(badge)));
        let title = badge.map_or(" who ".to_owned(), |badge| format!(" who holds badge {badge} "));
        let who = Paragraph::new(lines).block(Block::bordered().title(title));
        frame.render_widget(who, right_half);
    }

    fn draw_leaks(&self, frame: &mut Frame<'_>, area: Rect) {
        let lines = match &self.growth {
            None => vec![Line::from(" m marks the counts of now. Growth is shown from then on.")],
            Some(growth) => {
                let text = growth.text().unwrap_or_default();
                text.lines().map(|line| Line::from(format!(" {line}"))).collect()
            }
        };
        let block = Block::bordered().title(" growth since the mark ");
        frame.render_widget(Paragraph::new(lines).block(block), area);
    }
}

fn holders_text(holders: &Holders) -> Vec<Line<'static>> {
    let object = holders.object.clone().unwrap_or_else(|| "core has no such object".to_owned());
    let mut lines = vec![Line::from(format!(" {object}"))];
    if let Some(creator) = &holders.creator {
        lines.push(Line::from(format!(" made by {}", quoted(creator))));
    }
    lines.push(Line::from(format!(" {} holders:", holders.holders.len())));
    for holder in &holders.holders {
        lines.push(Line::from(format!(" {} ({})", quoted(&holder.label), holder.state)));
    }
    lines
}

fn right(text: String) -> Cell<'static> {
    Cell::from(Line::from(text).right_aligned())
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

fn highlight(has_focus: bool) -> Style {
    let style = Style::new().add_modifier(Modifier::REVERSED);
    if has_focus { style } else { style.add_modifier(Modifier::DIM) }
}

/// A kind of object in the width of its column.
fn short(object: &str) -> &str {
    if object.starts_with("protection domain") { "PD" } else { object }
}
