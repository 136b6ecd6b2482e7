//! Which of X-Ray's traces a line is of.

/// The trace that a tracing header names: `Root=1-...;Parent=...;Sampled=1` -> `1-...`.
/// <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>
pub fn trace_id(header: &str) -> Option<String> {
    let root = header.split(';').find_map(|part| part.trim().strip_prefix("Root="))?;
    Some(root.to_owned())
}

#[cfg(test)]
mod tests {
    use super::trace_id;

    #[test]
    fn the_root_of_a_header_is_its_trace_wherever_it_stands() {
        let id = "1-5759e988-bd862e3fe1be46a994272793";
        for header in [format!("Root={id}"), format!("Sampled=1; Root={id};Parent=53995c3f42cd8ad8")] {
            assert_eq!(trace_id(&header).as_deref(), Some(id));
        }
        assert_eq!((trace_id(""), trace_id(id)), (None, None));
    }
}
