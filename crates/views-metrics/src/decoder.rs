//! Metric blocks of native clients.

use crate::measures;
use belvedere_view::prelude::*;

/// Decodes metric blocks.
#[derive(Debug)]
pub(crate) struct MeasureDecoder;

/// How the events of one type are read.
struct Shape {
    desc: ReferenceField,
    properties: Option<ReferenceField>,
    time: I64Field,
    value: Value,
}

#[derive(Clone, Copy)]
enum Value {
    Integer(I64Field),
    Float(F64Field),
}

/// `None`: not a measure, no row.
fn shape(event: &EventType) -> Result<Option<Shape>, DecodeError> {
    let (is_tagged, is_integer) = match event.name() {
        "IntegerMetricEvent" => (false, true),
        "FloatMetricEvent" => (false, false),
        "TaggedIntegerMetricEvent" => (true, true),
        "TaggedFloatMetricEvent" => (true, false),
        _ => return Ok(None),
    };
    Ok(Some(Shape {
        desc: event.reference("desc")?,
        properties: if is_tagged { Some(event.reference("properties")?) } else { None },
        time: event.i64("time")?,
        value: if is_integer {
            Value::Integer(event.i64("value")?)
        } else {
            Value::Float(event.f64("value")?)
        },
    }))
}

/// What a metric is, by its keys in the dictionaries.
#[derive(Clone, Copy)]
struct Metric {
    target: i32,
    name: i32,
    unit: i32,
    /// The unit is exactly `ticks`: integers are durations.
    is_ticks: bool,
}

/// What a property set says instead of the metric's description.
#[derive(Clone, Copy, Default)]
struct Overrides {
    target: Option<Dependency>,
    name: Option<Dependency>,
    unit: Option<Dependency>,
}

struct Resolved<'a> {
    dependencies: &'a Dependencies,
    targets: TextDictionary<'a>,
    names: TextDictionary<'a>,
    units: TextDictionary<'a>,
    metrics: Vec<Option<Metric>>,
    overrides: Vec<Option<Overrides>>,
}

impl Resolved<'_> {
    #[inline]
    fn metric(&mut self, desc: Dependency) -> Result<Metric, DecodeError> {
        match self.metrics[desc.index()] {
            Some(metric) => Ok(metric),
            None => self.resolve_metric(desc),
        }
    }

    #[cold]
    fn resolve_metric(&mut self, desc: Dependency) -> Result<Metric, DecodeError> {
        let record = self.dependencies.record(desc).ok_or_else(|| {
            DecodeError::corrupt("a metric event refers to something else than a description")
        })?;
        let unit = record.text("unit")?;
        let metric = Metric {
            target: self.targets.key(record.text("target")?)?,
            name: self.names.key(record.text("name")?)?,
            unit: self.units.key(unit)?,
            is_ticks: self.is_ticks(unit),
        };
        self.metrics[desc.index()] = Some(metric);
        Ok(metric)
    }

    fn is_ticks(&self, unit: Dependency) -> bool {
        self.dependencies.text(unit) == Some("ticks")
    }

    #[inline]
    fn overridden(&mut self, metric: Metric, set: Dependency) -> Result<Metric, DecodeError> {
        let overrides = match self.overrides[set.index()] {
            Some(overrides) => overrides,
            None => self.resolve_overrides(set)?,
        };
        if let Overrides { target: None, name: None, unit: None } = overrides {
            return Ok(metric);
        }
        let mut metric = metric;
        if let Some(target) = overrides.target {
            metric.target = self.targets.key(target)?;
        }
        if let Some(name) = overrides.name {
            metric.name = self.names.key(name)?;
        }
        if let Some(unit) = overrides.unit {
            metric.unit = self.units.key(unit)?;
            metric.is_ticks = self.is_ticks(unit);
        }
        Ok(metric)
    }

    #[cold]
    fn resolve_overrides(&mut self, set: Dependency) -> Result<Overrides, DecodeError> {
        let pairs = self.dependencies.properties(set).ok_or_else(|| {
            DecodeError::corrupt("a metric event refers to something else than a property set")
        })?;
        let mut overrides = Overrides::default();
        for (name, value) in pairs {
            match self.dependencies.text(*name) {
                Some("target") => overrides.target = Some(*value),
                Some("name") => overrides.name = Some(*value),
                Some("unit") => overrides.unit = Some(*value),
                _ => {}
            }
        }
        self.overrides[set.index()] = Some(overrides);
        Ok(overrides)
    }
}

impl BlockDecoder for MeasureDecoder {
    fn decode(&self, block: &BlockReader<'_>, rows: &mut Rows<'_>) -> Result<usize, DecodeError> {
        let (clock, transit) = (block.clock()?, block.transit()?);
        let dependencies = transit.dependencies();
        let shapes: Vec<Result<Option<Shape>, DecodeError>> =
            transit.layout().events().iter().map(shape).collect();
        let mut resolved = Resolved {
            dependencies,
            targets: TextDictionary::new(dependencies),
            names: TextDictionary::new(dependencies),
            units: TextDictionary::new(dependencies),
            metrics: vec![None; dependencies.len()],
            overrides: vec![None; dependencies.len()],
        };
        let seconds = resolved.units.literal("seconds");
        let mut sets = PropertyDictionary::new(dependencies, rows.text_limit());
        // the announced number of events is only a hint
        let hint = (block.info().nb_objects.max(0) as usize).min(transit.objects().len() / 24);
        let mut times = Vec::with_capacity(hint);
        let mut targets = Vec::with_capacity(hint);
        let mut names = Vec::with_capacity(hint);
        let mut units = Vec::with_capacity(hint);
        let mut values = Vec::with_capacity(hint);
        let mut properties = Vec::with_capacity(hint);

        for event in transit.events() {
            let event = event?;
            let shape = match &shapes[usize::from(event.type_index)] {
                Ok(Some(shape)) => shape,
                Ok(None) => continue,
                Err(e) => return Err(e.clone()),
            };
            let mut metric = resolved.metric(dependencies.find(shape.desc.get(&event)?)?)?;
            let mut set = PropertyDictionary::EMPTY;
            if let Some(field) = shape.properties {
                let found = dependencies.find(field.get(&event)?)?;
                metric = resolved.overridden(metric, found)?;
                set = sets.key(found)?;
            }
            let value = match shape.value {
                Value::Float(field) => field.get(&event)?,
                Value::Integer(field) if metric.is_ticks => {
                    metric.unit = seconds;
                    clock.seconds(field.get(&event)?)
                }
                // integers are unsigned on the wire
                Value::Integer(field) => field.get(&event)? as u64 as f64,
            };
            times.push(clock.time_of(shape.time.get(&event)?));
            targets.push(metric.target);
            names.push(metric.name);
            units.push(metric.unit);
            values.push(value);
            properties.push(set);
        }

        let count = times.len();
        rows.put(&measures::TIME, times)?;
        rows.put(&measures::VALUE, values)?;
        rows.put_with(&measures::TARGET, || resolved.targets.finish(targets))?;
        rows.put_with(&measures::NAME, || resolved.names.finish(names))?;
        rows.put_with(&measures::UNIT, || resolved.units.finish(units))?;
        rows.put_with(&measures::PROPERTIES, || sets.finish(properties))?;
        Ok(count)
    }
}
