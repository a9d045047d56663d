//! `insert_process`.

use super::WireError;
use super::cbor::{encode, optional_uuid, properties, read_map, string, time, uuid};
use crate::ProcessInfo;
use crate::time::to_rfc3339;
use minicbor::Decoder;

impl ProcessInfo {
    /// Decodes a process announcement. `insert_time` is left 0: the lake sets it.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut p = ProcessInfo {
            process_id: uuid::Uuid::nil(),
            exe: String::new(),
            username: String::new(),
            realname: String::new(),
            computer: String::new(),
            distro: String::new(),
            cpu_brand: String::new(),
            tsc_frequency: 0,
            start_time: 0,
            start_ticks: 0,
            parent_process_id: None,
            properties: Vec::new(),
            insert_time: 0,
        };
        const KEYS: [&str; 12] = [
            "process_id",
            "exe",
            "username",
            "realname",
            "computer",
            "distro",
            "cpu_brand",
            "tsc_frequency",
            "start_time",
            "start_ticks",
            "parent_process_id",
            "properties",
        ];
        read_map(&mut Decoder::new(body), "process", KEYS, |key, d| {
            match key {
                "process_id" => p.process_id = uuid(d)?,
                "exe" => p.exe = string(d)?,
                "username" => p.username = string(d)?,
                "realname" => p.realname = string(d)?,
                "computer" => p.computer = string(d)?,
                "distro" => p.distro = string(d)?,
                "cpu_brand" => p.cpu_brand = string(d)?,
                "tsc_frequency" => p.tsc_frequency = d.i64()?,
                "start_time" => p.start_time = time(d)?,
                "start_ticks" => p.start_ticks = d.i64()?,
                "parent_process_id" => p.parent_process_id = optional_uuid(d)?,
                _ => p.properties = properties(d)?,
            }
            Ok(())
        })?;
        Ok(p)
    }

    /// Encodes an announcement as a native client does.
    pub fn encode(&self) -> Vec<u8> {
        encode(|e| {
            e.map(12)?;
            e.str("process_id")?.str(&self.process_id.to_string())?;
            for (key, value) in [
                ("exe", &self.exe),
                ("username", &self.username),
                ("realname", &self.realname),
                ("computer", &self.computer),
                ("distro", &self.distro),
                ("cpu_brand", &self.cpu_brand),
            ] {
                e.str(key)?.str(value)?;
            }
            e.str("tsc_frequency")?.i64(self.tsc_frequency)?;
            e.str("start_time")?.str(&to_rfc3339(self.start_time))?;
            e.str("start_ticks")?.i64(self.start_ticks)?;
            e.str("parent_process_id")?;
            match self.parent_process_id {
                Some(id) => e.str(&id.to_string())?,
                None => e.null()?,
            };
            e.str("properties")?.map(self.properties.len() as u64)?;
            for (key, value) in &self.properties {
                e.str(key)?.str(value)?;
            }
            Ok(())
        })
    }
}
