//! Errors in each provider's own form.

use serde_json::{Value, json};

use super::Wire;
use super::scenario::Class;

/// Seconds that a rate-limited caller is told to wait.
const RETRY_AFTER: u32 = 2;

/// Tokens that an overflowing prompt is said to have, and the limit it is said to break.
const OVERFLOW: (u64, u64) = (250_000, 200_000);

/// An error answer before it is put in a provider's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
    /// The field at fault, for the protocols that name it.
    pub(super) param: Option<String>,
    /// A code more exact than the status, for the protocols that have one.
    pub(super) code: Option<&'static str>,
    pub(super) retry_after: Option<u32>,
    /// What `gemini` adds to its words, as `google.rpc` messages.
    pub(super) details: Vec<Value>,
}

impl Refusal {
    /// A request that breaks a rule.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: 400,
            message: message.into(),
            param: None,
            code: None,
            retry_after: None,
            details: Vec::new(),
        }
    }

    /// The same with the field at fault and a code.
    pub(super) fn field(
        message: impl Into<String>,
        param: impl Into<String>,
        code: Option<&'static str>,
    ) -> Self {
        Self { param: Some(param.into()), code, ..Self::invalid(message) }
    }

    /// An error of a status, told in the provider's usual words.
    pub(super) fn status(wire: Wire, status: u16, message: impl Into<String>) -> Self {
        let openai = matches!(wire, Wire::OpenaiChat | Wire::OpenaiResponses);
        let code = match status {
            401 if openai => Some("invalid_api_key"),
            404 if openai => Some("model_not_found"),
            429 if openai => Some("rate_limit_exceeded"),
            _ => None,
        };
        let retry_after = (status == 429).then_some(RETRY_AFTER);
        Self { status, message: message.into(), param: None, code, retry_after, details: Vec::new() }
    }

    /// The error that a scenario asks for.
    pub(super) fn scripted(wire: Wire, status: u16, class: Class, model: &str) -> Self {
        let (tokens, most) = OVERFLOW;
        match class {
            Class::Plain => {
                let said = match status {
                    400 => "The request was invalid.".to_owned(),
                    401 => "The API key is not valid.".to_owned(),
                    403 => "Your credential may not use this resource.".to_owned(),
                    404 => unknown_model(wire, model),
                    413 => "Request exceeds the maximum size.".to_owned(),
                    429 => "Rate limit reached; try again later.".to_owned(),
                    503 | 529 => "Overloaded".to_owned(),
                    _ => "Internal server error".to_owned(),
                };
                Self::status(wire, status, said)
            }
            Class::Overflow => {
                let said = match wire {
                    Wire::OpenaiChat | Wire::OpenaiResponses => format!(
                        "This model's maximum context length is {most} tokens. However, your messages resulted in {tokens} tokens."
                    ),
                    Wire::Anthropic => format!("prompt is too long: {tokens} tokens > {most} maximum"),
                    Wire::Gemini => format!(
                        "The input token count ({tokens}) exceeds the maximum number of tokens allowed ({most})."
                    ),
                    Wire::Bedrock => "Input is too long for requested model.".to_owned(),
                    Wire::Cohere => {
                        format!("too many tokens: size limit exceeded by {} tokens", tokens - most)
                    }
                };
                let mut refusal = Self::status(wire, status, said);
                if matches!(wire, Wire::OpenaiChat | Wire::OpenaiResponses) {
                    refusal.code = Some("context_length_exceeded");
                    refusal.param =
                        Some(if wire == Wire::OpenaiChat { "messages" } else { "input" }.to_owned());
                }
                refusal
            }
            Class::Quota => {
                let mut refusal = Self::status(wire, status, "You exceeded your current quota.");
                refusal.retry_after = None;
                if matches!(wire, Wire::OpenaiChat | Wire::OpenaiResponses) {
                    refusal.code = Some("insufficient_quota");
                }
                refusal
            }
        }
    }

    /// The body in the provider's own form.
    pub(super) fn body(&self, wire: Wire, request_id: &str) -> Value {
        match wire {
            Wire::OpenaiChat | Wire::OpenaiResponses => json!({"error": {
                "message": self.message,
                "type": self.kind(wire),
                "param": self.param,
                "code": self.code,
            }}),
            Wire::Anthropic => {
                let mut error = json!({"type": self.kind(wire), "message": self.message});
                if let Some(code) = self.code {
                    error["details"] = json!({"error_code": code});
                }
                json!({"type": "error", "error": error, "request_id": request_id})
            }
            Wire::Gemini => {
                let mut error =
                    json!({"code": self.status, "message": self.message, "status": self.kind(wire)});
                let wait = self.retry_after.map(|seconds| {
                    json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{seconds}s")})
                });
                let details: Vec<Value> = self.details.iter().cloned().chain(wait).collect();
                if !details.is_empty() {
                    error["details"] = Value::Array(details);
                }
                json!({"error": error})
            }
            Wire::Bedrock => json!({"message": self.message}),
            Wire::Cohere => json!({"id": request_id, "message": self.message}),
        }
    }

    /// The name that the provider gives this class of error.
    pub(super) fn kind(&self, wire: Wire) -> &'static str {
        match wire {
            Wire::OpenaiChat | Wire::OpenaiResponses => match self.status {
                429 if self.code == Some("insufficient_quota") => "insufficient_quota",
                429 => "requests",
                500.. => "server_error",
                _ => "invalid_request_error",
            },
            Wire::Anthropic => match self.status {
                401 => "authentication_error",
                403 => "permission_error",
                404 => "not_found_error",
                413 => "request_too_large",
                429 => "rate_limit_error",
                529 => "overloaded_error",
                500.. => "api_error",
                _ => "invalid_request_error",
            },
            Wire::Gemini => match self.status {
                401 => "UNAUTHENTICATED",
                403 => "PERMISSION_DENIED",
                404 => "NOT_FOUND",
                429 => "RESOURCE_EXHAUSTED",
                503 | 529 => "UNAVAILABLE",
                500.. => "INTERNAL",
                _ => "INVALID_ARGUMENT",
            },
            Wire::Bedrock if self.code.is_some() => self.code.unwrap_or_default(),
            Wire::Bedrock => match self.status {
                401 => "UnrecognizedClientException",
                403 => "AccessDeniedException",
                402 => "ServiceQuotaExceededException",
                404 => "ResourceNotFoundException",
                408 => "ModelTimeoutException",
                409 => "ConflictException",
                424 => "ModelErrorException",
                429 => "ThrottlingException",
                503 | 529 => "ServiceUnavailableException",
                500.. | ..=399 => "InternalServerException",
                _ => "ValidationException",
            },
            Wire::Cohere => "error",
        }
    }
}

/// How each provider says that it has no such model.
pub(super) fn unknown_model(wire: Wire, model: &str) -> String {
    match wire {
        Wire::OpenaiChat | Wire::OpenaiResponses => {
            format!("The model `{model}` does not exist or you do not have access to it.")
        }
        Wire::Anthropic => format!("model: {model}"),
        Wire::Gemini => format!("models/{model} is not found for this API version."),
        Wire::Bedrock => "The provided model identifier is invalid.".to_owned(),
        Wire::Cohere => format!("model '{model}' not found"),
    }
}
