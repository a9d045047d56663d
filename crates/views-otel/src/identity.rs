//! Who sent it: processes and streams of resources.
//!
//! OTLP has no ids of processes and streams: they follow from the resource, so that every request of a sender, every
//! retry and every server comes to the same ones. All of the resource counts, or replicas and environments of a
//! service would be one process; only what is known to change while a program runs does not.
//!
//! A resource that has nothing beside the 31 attributes of [`PARTS`] has the id that the platform whose clients we
//! serve gives it. Earlier versions looked at these alone: the ids that they gave stay in the lakes that have them.

use crate::proto::{Fields, ProtoError};
use crate::signal::Signal;
use crate::values::key_value;
use belvedere_model::{ProcessInfo, StreamInfo, StreamParts};
use bytes::Bytes;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use uuid::{Uuid, uuid};

const PROCESSES: Uuid = uuid!("80a447b8-fcdd-42a6-a613-f6c8719cd5fe");
const STREAMS: Uuid = uuid!("fe93bacf-e851-4cf6-8526-05f8454b3488");
const SEPARATOR: char = '\u{1f}';

/// An empty CBOR array: OTLP describes no types.
const NO_TYPES: &[u8] = &[0x80];

/// A resource's attributes, as texts, in the order in which they were sent.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Resource<'a> {
    attributes: Vec<(&'a str, String)>,
}

/// One of the values that tell processes apart.
enum Part {
    /// Without white space around it and in lower case.
    Normal(&'static str),
    /// As it is; of several the first one that is not empty.
    Raw(&'static [&'static str]),
    Owner,
}

use Part::{Normal, Owner, Raw};

const PARTS: [Part; 31] = [
    Normal("host.id"),
    Normal("host.name"),
    Raw(&["process.pid"]),
    Raw(&["process.creation.time", "process.start_time"]),
    Normal("service.namespace"),
    Normal("service.name"),
    Normal("service.instance.id"),
    Owner,
    Normal("os.type"),
    Normal("os.version"),
    Normal("os.name"),
    Normal("os.description"),
    Normal("os.build_id"),
    Normal("host.arch"),
    Normal("host.type"),
    Normal("host.image.id"),
    Normal("host.image.name"),
    Normal("host.image.version"),
    Normal("host.cpu.model.id"),
    Normal("host.cpu.model.name"),
    Normal("host.cpu.family"),
    Normal("host.cpu.vendor.id"),
    Normal("host.cpu.stepping"),
    Normal("host.cpu.cache.l2.size"),
    Normal("service.version"),
    Normal("telemetry.sdk.name"),
    Normal("telemetry.sdk.language"),
    Normal("telemetry.sdk.version"),
    Normal("process.runtime.name"),
    Normal("process.runtime.version"),
    Normal("process.runtime.description"),
];

/// Starts of names of attributes that are known to change while a program runs: networks, sessions and users of a
/// device, labels that an operator can change.
const CHANGING: &[&str] = &[
    "host.ip",
    "host.mac",
    "process.working_directory",
    "process.parent_pid",
    "session.",
    "enduser.",
    "user.",
    "network.",
    "net.host.",
    "geo.",
];

/// Parts of names in Kubernetes of what can be changed from outside.
const CHANGING_IN_KUBERNETES: &[&str] = &[".label.", ".labels.", ".annotation.", ".annotations."];

const OWNERS: &[&str] = &["process.owner", "process.user.name", "process.real_user.name", "user.name"];

impl<'a> Resource<'a> {
    /// Reads a `Resource` message.
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, ProtoError> {
        let mut attributes = Vec::new();
        for field in Fields::new(message) {
            if let (1, value) = field? {
                let (key, value) = key_value(value.bytes());
                let mut text = String::new();
                value.to_text(&mut text);
                // what PostgreSQL can't take in a text
                if text.contains('\0') {
                    text = text.replace('\0', "\u{fffd}");
                }
                attributes.push((key, text));
            }
        }
        Ok(Self { attributes })
    }

    /// The first attribute of that name; empty if there is none.
    fn text(&self, name: &str) -> &str {
        self.attributes.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    fn first_of(&self, names: &[&str]) -> &str {
        self.name_of_first(names).map_or("", |name| self.text(name))
    }

    fn name_of_first<'n>(&self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| !self.text(name).is_empty())
    }

    /// Id of the process that the resource stands for.
    pub(crate) fn process_id(&self) -> Uuid {
        let (mut name, mut used) = (String::new(), Vec::with_capacity(PARTS.len()));
        for (i, part) in PARTS.iter().enumerate() {
            if i > 0 {
                name.push(SEPARATOR);
            }
            let keys = match part {
                Normal(key) => std::slice::from_ref(key),
                Raw(keys) => keys,
                Owner => OWNERS,
            };
            let Some(key) = self.name_of_first(keys) else { continue };
            used.push(key);
            match part {
                Raw(_) => name.push_str(self.text(key)),
                Normal(_) | Owner => name.push_str(&normal(self.text(key))),
            }
        }
        for (key, value) in self.others(&used) {
            // lengths, so that no value looks like the next name
            for text in [key, value] {
                name.push(SEPARATOR);
                name.push_str(&text.len().to_string());
                name.push(SEPARATOR);
                name.push_str(text);
            }
        }
        Uuid::new_v5(&PROCESSES, name.as_bytes())
    }

    /// The attributes that tell processes apart beside the used ones, ordered by their names: senders may change the
    /// order. Of several of one name the last one counts, as in the properties of the process.
    fn others<'s>(&'s self, used: &[&str]) -> BTreeMap<&'s str, &'s str> {
        let is_other = |key: &str| !used.contains(&key) && !is_changing(key);
        let all = self.attributes.iter().map(|(key, value)| (*key, value.as_str()));
        all.filter(|(key, value)| is_other(key) && !value.is_empty()).collect()
    }

    /// The process that the resource stands for, if nobody announced it before. `begin_time` is that of the first
    /// events: when it started if the resource does not say.
    pub(crate) fn process(&self, process_id: Uuid, begin_time: i64) -> ProcessInfo {
        let (namespace, name) = (self.text("service.namespace"), self.text("service.name"));
        let exe = match namespace {
            "" => name.to_owned(),
            namespace => format!("{namespace}/{name}"),
        };
        let owner = self.first_of(OWNERS).to_owned();
        let started = match self.text("process.creation.time") {
            "" => self.text("process.start_time"),
            time => time,
        };
        let start_time = belvedere_model::time::parse_rfc3339(started).unwrap_or(begin_time);
        ProcessInfo {
            process_id,
            exe,
            username: owner.clone(),
            realname: owner,
            computer: self.text("host.name").to_owned(),
            distro: self.text("os.description").to_owned(),
            cpu_brand: self.text("host.cpu.model.name").to_owned(),
            tsc_frequency: 1_000_000_000,
            start_time,
            start_ticks: start_time,
            parent_process_id: None,
            properties: self.named().map(|(name, value)| (name, value.to_owned())).collect(),
            insert_time: 0,
        }
    }

    /// Attributes that the announced process does not have, or has with another value: those that do not tell
    /// processes apart may change, and processes that earlier versions announced have less to tell them apart. Names are those of the process' properties.
    pub(crate) fn unlike(&self, process: &ProcessInfo) -> Vec<(String, &str)> {
        let known: HashMap<&str, &str> =
            process.properties.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.named().filter(|(name, value)| known.get(name.as_str()) != Some(value)).collect()
    }

    /// The attributes under the names of the process' properties, each once: of several the last one counts.
    fn named(&self) -> impl Iterator<Item = (String, &str)> {
        let last: HashMap<&str, usize> =
            self.attributes.iter().enumerate().map(|(i, (key, _))| (*key, i)).collect();
        self.attributes
            .iter()
            .enumerate()
            .filter(move |(i, (key, _))| last.get(key) == Some(i))
            .map(|(_, (key, value))| (property_name(key), value.as_str()))
    }
}

/// Name of the process' property that holds an attribute of its resource.
fn property_name(attribute: &str) -> String {
    format!("otel.resource.{}", attribute.replace('\0', "\u{fffd}"))
}

fn is_changing(attribute: &str) -> bool {
    CHANGING.iter().any(|start| attribute.starts_with(start))
        || attribute.starts_with("k8s.") && CHANGING_IN_KUBERNETES.iter().any(|part| attribute.contains(part))
}

fn normal(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    match text.bytes().any(|b| b.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}

/// Id of the stream of a signal of a process.
pub(crate) fn stream_id(process_id: Uuid, signal: Signal) -> Uuid {
    Uuid::new_v5(&STREAMS, format!("{process_id}{SEPARATOR}{}", signal.name()).as_bytes())
}

/// The stream of a signal of a process.
pub(crate) fn stream(process_id: Uuid, signal: Signal) -> StreamInfo {
    StreamInfo::from(StreamParts {
        stream_id: stream_id(process_id, signal),
        process_id,
        dependencies_metadata: Bytes::from_static(NO_TYPES),
        objects_metadata: Bytes::from_static(NO_TYPES),
        tags: vec![signal.tag().to_owned()],
        format: signal.format().to_owned(),
        ..StreamParts::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(attributes: &[(&'static str, &str)]) -> Resource<'static> {
        Resource { attributes: attributes.iter().map(|(k, v)| (*k, (*v).to_owned())).collect() }
    }

    #[test]
    fn ids_are_those_of_the_documented_vectors() {
        let nobody = resource(&[]).process_id();
        assert_eq!(nobody, uuid!("3f62581b-ec0e-535d-8d84-4a528c2d77cb"));
        let attributes =
            [("service.name", "My-Service "), ("host.name", "host-1"), ("service.instance.id", "i-1")];
        let process = resource(&attributes).process_id();
        assert_eq!(process, uuid!("0db91eb3-f68e-5214-a05e-f9ae958a5c7c"));
        let stream = |signal| stream_id(process, signal);
        assert_eq!(stream(Signal::Logs), uuid!("270aeb70-066e-581d-bd72-9ae9b59b67ca"));
        assert_eq!(stream(Signal::Metrics), uuid!("848b1a80-de7f-5108-b2d7-b858fa1a1ca7"));
        assert_eq!(stream(Signal::Traces), uuid!("38b7c676-f817-5306-878f-a634d501e830"));
    }

    #[test]
    fn a_process_is_named_by_its_service_and_starts_when_it_says_or_with_its_first_event() {
        let id = Uuid::nil();
        let known = resource(&[
            ("service.name", "cart"),
            ("service.namespace", "shop"),
            ("process.creation.time", "2026-01-02T03:04:05Z"),
            ("user.name", "ann"),
            ("host.name", "a\u{fffd}b"),
        ])
        .process(id, 7);
        assert_eq!((known.exe.as_str(), known.username.as_str()), ("shop/cart", "ann"));
        assert_eq!(known.computer, "a\u{fffd}b");
        assert_eq!((known.start_time, known.start_ticks), (1_767_323_045_000_000_000, known.start_time));
        let unknown = resource(&[("service.name", "cart"), ("process.start_time", "soon")]).process(id, 7);
        assert_eq!((unknown.exe.as_str(), unknown.start_time), ("cart", 7));
    }

    #[test]
    fn attributes_that_differ_from_the_announced_ones_are_told() {
        let first = resource(&[("service.name", "cart"), ("host.ip", "10.0.0.1")]);
        let second =
            resource(&[("service.name", "cart"), ("host.ip", "10.0.0.2"), ("k8s.pod.label.zone", "1")]);
        assert_eq!(first.process_id(), second.process_id());
        let announced = first.process(first.process_id(), 0);
        assert_eq!(first.unlike(&announced), []);
        assert_eq!(
            second.unlike(&announced),
            [
                ("otel.resource.host.ip".to_owned(), "10.0.0.2"),
                ("otel.resource.k8s.pod.label.zone".to_owned(), "1")
            ]
        );
    }

    #[test]
    fn every_attribute_that_does_not_change_tells_processes_apart() {
        let with = |name: &'static str, value: &str| {
            resource(&[("service.name", "pods"), ("zone", "1"), (name, value)]).process_id()
        };
        for name in [
            "deployment.environment.name",
            "k8s.pod.name",
            "k8s.pod.uid",
            "k8s.namespace.name",
            "container.id",
            "host.id",
            "cloud.region",
            "process.command_args",
            "made.up",
            "process.real_user.name",
        ] {
            assert_ne!(with(name, "a"), with(name, "b"), "{name}");
            assert_ne!(with(name, "a"), with(name, ""), "{name}");
        }
        for name in ["host.ip", "session.id", "user.id", "k8s.pod.labels.app", "k8s.node.annotation.made.up"]
        {
            assert_eq!(with(name, "a"), with(name, "b"), "{name}");
        }
        // a second owner is an attribute like any other
        let owners = |second: &str| {
            resource(&[("process.owner", "ann"), ("process.real_user.name", second)]).process_id()
        };
        assert_ne!(owners("ann"), owners("bob"));
    }

    #[test]
    fn the_order_of_attributes_is_nothing_and_values_are_not_mistaken_for_names() {
        let id = |attributes: &[(&'static str, &str)]| resource(attributes).process_id();
        let (a, b) = (("a", "1"), ("b", "2"));
        assert_eq!(id(&[a, b]), id(&[b, a]));
        assert_eq!(id(&[("a", "0"), b, a]), id(&[a, b]));
        assert_ne!(id(&[a, b]), id(&[("a", "1\u{1f}1\u{1f}b\u{1f}1\u{1f}2")]));
        assert_ne!(id(&[("a", "b"), ("b", "a")]), id(&[("a", "a"), ("b", "b")]));
    }
}
