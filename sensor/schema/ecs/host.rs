//! `host.*`, `agent.*` and `ecs.version`. They are the same in every line, so they are written once. They stand last
//! in the line, because they never say what happened.

use super::VERSION;
use crate::host::Host;
use crate::json::Json;
use crate::schema::agent::{Agent, short};

pub fn tail(json: &mut Json<'_>, host: &Host, agent: &Agent) {
    json.object("host", |json| {
        let os = &host.os;
        json.text("hostname", short(host.hostname.as_str()));
        json.text("name", short(host.hostname.as_str()));
        json.text("id", short(host.id.as_deref()));
        json.text("architecture", host.architecture);
        json.object("boot", |json| json.text("id", short(host.boot_id.as_deref())));
        json.object("os", |json| {
            json.literal("type", "linux");
            json.text("platform", short(os.platform.as_deref()));
            json.text("family", short(os.family.as_deref()));
            json.text("name", short(os.name.as_deref()));
            json.text("version", short(os.version.as_deref()));
            json.text("full", short(os.full.as_deref()));
            json.text("kernel", short(os.kernel.as_deref()));
        });
    });
    json.object("agent", |json| {
        json.text("type", agent.r#type);
        json.text("version", agent.version);
        json.text("id", agent.id.as_str());
        json.text("ephemeral_id", agent.ephemeral_id.as_str());
        json.text("name", agent.name.as_str());
    });
    json.object("ecs", |json| json.literal("version", VERSION));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Memory;

    fn written(host: &Host) -> serde_json::Value {
        let (mut bytes, mut memory) = (Vec::new(), Memory::default());
        let mut json = Json::open(&mut bytes, &mut memory);
        tail(&mut json, host, &Agent::new(host, "1"));
        json.close();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn absent_facts_are_absent_fields() {
        let host = Host { hostname: "localhost".into(), architecture: "x86_64", ..Host::default() };
        let expected = serde_json::json!({
            "hostname": "localhost", "name": "localhost", "architecture": "x86_64", "os": { "type": "linux" },
        });
        assert_eq!(written(&host)["host"], expected);
    }

    #[test]
    fn a_long_fact_is_cut() {
        let host = Host { hostname: "x".repeat(1_000), ..Host::default() };
        let tail = written(&host);
        for name in [&tail["host"]["name"], &tail["agent"]["name"]] {
            assert_eq!(name.as_str().unwrap().len(), 128);
        }
    }
}
