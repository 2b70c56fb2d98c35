//! A self-hosted LLM gateway: six wire protocols in, six out, nothing lost in silence.
