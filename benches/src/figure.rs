//! What one load has shown in one run: figures with their bounds, and faults.
//!
//! In: the loads' numbers. Out: the same, to the report. Generator thread.

use std::borrow::Cow;

/// How a figure is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Ratio,
    Count,
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Bytes,
    /// Of one, written in hundredths.
    Share,
    Mib,
}

impl Unit {
    pub fn write(self, value: f64) -> String {
        match self {
            Unit::Ratio => format!("{value:.2}"),
            Unit::Count => format!("{value:.0}"),
            Unit::Nanoseconds => format!("{value:.0} ns"),
            Unit::Microseconds => format!("{value:.1} us"),
            Unit::Bytes => format!("{value:.0} B"),
            Unit::Milliseconds => format!("{value:.2} ms"),
            Unit::Share => format!("{:.1} %", value * 100.0),
            Unit::Mib => format!("{value:.1} MiB"),
        }
    }
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    Most(f64),
    Least(f64),
    /// It informs.
    None,
}

impl Bound {
    pub fn is_kept(self, value: f64) -> bool {
        match self {
            Bound::Most(most) => value <= most,
            Bound::Least(least) => value >= least,
            Bound::None => true,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Figure {
    pub name: Cow<'static, str>,
    pub unit: Unit,
    pub bound: Bound,
    pub value: f64,
}

/// Parts of a core that were in use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Busy {
    pub server: f64,
    /// Of the time, in which the generator had something to read.
    pub generator: f64,
    /// By neither of the two.
    pub others: f64,
}

#[derive(Clone, Debug)]
pub struct Outcome {
    pub load: &'static str,
    pub figures: Vec<Figure>,
    pub faults: Vec<String>,
    pub busy: Busy,
}

impl Outcome {
    pub fn new(load: &'static str) -> Self {
        Outcome {
            load,
            figures: Vec::new(),
            faults: Vec::new(),
            busy: Busy::default(),
        }
    }

    /// A figure that may be so much at most.
    pub fn most(&mut self, name: impl Into<Cow<'static, str>>, unit: Unit, most: f64, value: f64) {
        self.add(name, unit, Bound::Most(most), value);
    }

    /// A figure that has to be so much at least.
    pub fn least(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        unit: Unit,
        least: f64,
        value: f64,
    ) {
        self.add(name, unit, Bound::Least(least), value);
    }

    /// A figure that informs.
    pub fn tell(&mut self, name: impl Into<Cow<'static, str>>, unit: Unit, value: f64) {
        self.add(name, unit, Bound::None, value);
    }

    fn add(&mut self, name: impl Into<Cow<'static, str>>, unit: Unit, bound: Bound, value: f64) {
        self.figures.push(Figure {
            name: name.into(),
            unit,
            bound,
            value,
        });
    }

    /// A fault, if `is_one`.
    pub fn fault_if(&mut self, is_one: bool, text: impl FnOnce() -> String) {
        if is_one {
            self.faults.push(text());
        }
    }

    /// All of it, for whoever watches the run.
    pub fn line(&self) -> String {
        let figures = self.figures.iter();
        let figures = figures.map(|f| format!("{} {}", f.name, f.unit.write(f.value)));
        let figures = figures.collect::<Vec<_>>().join("; ");
        let faults = self.faults.len();
        let first = self.faults.iter().take(2).map(|fault| format!("; {fault}"));
        let first = first.collect::<String>();
        format!("{}: {figures}; {faults} faults{first}", self.load)
    }
}

/// The value at a share of the sorted ones.
pub fn quantile(numbers: &mut [u64], share: f64) -> u64 {
    numbers.sort_unstable();
    let at = (numbers.len() as f64 * share) as usize;
    let last = numbers.len().saturating_sub(1);
    numbers.get(at.min(last)).copied().unwrap_or(0)
}
