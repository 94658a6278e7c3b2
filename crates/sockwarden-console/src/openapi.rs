//! The API described in OpenAPI 3.1, from the list of endpoints and the types that they read and write.

use axum::{http::StatusCode, response::Response};
use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use sockwarden_model::Role;

use crate::{
    answer,
    endpoints::{Content, ENDPOINTS, Endpoint, SchemaOf},
};

pub(crate) async fn give() -> Response {
    answer::json(StatusCode::OK, &openapi())
}

/// Gives the OpenAPI document.
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for endpoint in &ENDPOINTS {
        let operation = operation(endpoint, &mut generator);
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method] = operation;
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sockwarden admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Health, metrics, sessions, routes and modes of a running gateway, tickets and revocations. Every request needs the \
                listener's own name in Host; a page of another origin is refused.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "viewer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token of `admin.viewer_token_file`, or an operator's.",
                },
                "issuer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token of `admin.issuer_token_file`, or an operator's.",
                },
                "operator": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token of `admin.token_file`.",
                },
            },
        },
    })
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({ "summary": endpoint.summary });
    let mut parameters = Vec::new();
    if endpoint.path.contains("{id}") {
        parameters.push(json!({
            "name": "id",
            "in": "path",
            "required": true,
            "description": "The session.",
            "schema": generator.subschema_for::<sockwarden_model::EventId>(),
        }));
    }
    parameters.extend(endpoint.query.into_iter().flat_map(|query| query_parameters(query, generator)));
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = endpoint.body {
        let schema = body(generator);
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    let mut responses = Map::new();
    for answer in endpoint.answers {
        let content = match answer.content {
            Content::Json(schema) => json!({ "application/json": { "schema": schema(generator) } }),
            Content::Text(media_type) => json!({ media_type: {} }),
        };
        responses
            .insert(answer.status.to_string(), json!({ "description": answer.means, "content": content }));
    }
    let error = json!({ "application/json": { "schema": generator.subschema_for::<answer::Error>() } });
    let means = "The request is refused: its path, Host, Origin, token, role, rate, size or time.";
    responses.insert("default".to_owned(), json!({ "description": means, "content": error }));
    operation["responses"] = responses.into();
    operation["security"] = match endpoint.role {
        Role::Nobody | Role::Timer => json!([]),
        Role::Viewer => json!([{ "viewer": [] }]),
        Role::Issuer => json!([{ "issuer": [] }]),
        Role::Operator => json!([{ "operator": [] }]),
    };
    operation
}

/// Takes a struct's schema apart into parameters, one for each field.
fn query_parameters(query: SchemaOf, generator: &mut SchemaGenerator) -> Vec<Value> {
    let reference = query(generator);
    let name = reference.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next());
    let Some(schema) = name.and_then(|name| generator.definitions_mut().remove(name)) else {
        return Vec::new();
    };
    let fields = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let parameter = |(name, mut schema): (String, Value)| {
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
    };
    fields.into_iter().map(parameter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

    #[test]
    fn the_committed_document_is_what_the_program_says() {
        let committed: Value = serde_json::from_str(&std::fs::read_to_string(COMMITTED).unwrap()).unwrap();
        assert!(committed == openapi(), "docs/openapi.json is stale: run `cargo xtask docs`");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let document = openapi();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 10, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn what_changes_something_needs_an_operator_or_issuer_and_only_health_and_public_keys_need_nobody() {
        for endpoint in &ENDPOINTS {
            let expected = match (endpoint.method, endpoint.path) {
                (_, "/livez" | "/readyz" | "/.well-known/jwks.json") => Role::Nobody,
                ("post", "/api/v1/tickets" | "/api/v1/revocations") => Role::Issuer,
                ("get", _) => Role::Viewer,
                _ => Role::Operator,
            };
            assert_eq!(endpoint.role, expected, "{} {}", endpoint.method, endpoint.path);
        }
    }
}
