//! Lossless wire types of six LLM protocols, a common intermediate form, and the maps between them.
