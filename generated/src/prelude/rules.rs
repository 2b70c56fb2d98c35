//! What a protocol demands or lacks beyond its types: limits and quirks as data.
//!
//! Each protocol's `RULES` come from `schemas/<protocol>/rules.toml`. The shape passes read them; no pass
//! knows which protocol it works for.

/// The limits and quirks of one protocol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// What a request goes through on its way to this protocol, in this order.
    pub request: &'static [Pass],
    /// What an answer goes through on its way to a client of this protocol, in this order.
    pub response: &'static [AnswerPass],
    /// Who may speak where.
    pub turns: TurnRules,
    /// Ids of tool calls.
    pub call_ids: NameRules,
    /// Names of tools.
    pub tool_names: NameRules,
    /// What may be called, and how.
    pub tools: ToolRules,
    /// The form and the bounds of an answer.
    pub output: OutputRules,
    /// How tokens are drawn.
    pub sampling: SamplingRules,
    /// How reasoning is asked for and given back.
    pub reasoning: ReasoningRules,
    /// Where clients keep what only its provider can read.
    pub carriage: CarriageRules,
    /// Pictures, documents, sound.
    pub media: MediaRules,
    /// The form of an answer that clients expect.
    pub answer: AnswerRules,
    /// What an error's status, kind and code stand for; the first row that fits counts.
    pub errors: &'static [ErrorRule],
    /// Parts of messages, in lower case, that say that the prompt does not fit the model.
    pub overflow: &'static [&'static str],
    /// What is wrong with a request that the gateway made, and how to put it right; the first that fits counts.
    pub repairs: &'static [RepairRule],
    /// Fields, as dotted paths, without which a request is not the caller's any more.
    pub kept: &'static [&'static str],
}

/// Who may speak where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TurnRules {
    /// System text stands outside the turns.
    pub instructions: bool,
    /// A system turn may follow other turns.
    pub system_inside: bool,
    /// The developer speaks in a role of its own beside the system's.
    pub developer: bool,
    /// Turns of one role may follow each other.
    pub repeat: bool,
    /// The user speaks first.
    pub user_first: bool,
    /// An answer that is begun for the model may end in white space.
    pub trailing_space: bool,
    /// A tool result is a turn of its own; otherwise results stand in the user's turn.
    pub results_apart: bool,
    /// The order of text, reasoning and calls inside a turn is told.
    pub ordered: bool,
    /// Turns and text blocks may be empty.
    pub empty: bool,
    /// Turns may name their speaker.
    pub names: bool,
    /// Marks for the prompt cache may stand at blocks.
    pub cache_marks: bool,
    /// Such a mark is an element of its own behind what it marks.
    pub marks_apart: bool,
    /// Marks at most.
    pub max_marks: usize,
    /// Each message, call, result and piece of reasoning is an item of its own.
    pub items: bool,
    /// Beginnings of system texts that are meant for this protocol's own provider alone.
    pub private_text: &'static [&'static str],
}

/// Characters and length of an id or a name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NameRules {
    /// Characters at most.
    pub max: usize,
    /// Letters, digits, `_` and `-` alone.
    pub word: bool,
    /// `-` is not among them, and a digit not in front.
    pub identifier: bool,
    /// A letter or `_` comes first.
    pub letter_first: bool,
    /// How an id that the gateway makes begins.
    pub prefix: &'static str,
}

/// What may be called, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ToolRules {
    /// Arguments are an object; otherwise any text.
    pub object_arguments: bool,
    /// Tools whose argument is free text.
    pub custom: bool,
    /// A choice of some of the declared tools.
    pub allowed: bool,
    /// The parameters of a tool must be there.
    pub parameters: bool,
    /// The schema of the parameters must say that they are an object.
    pub object_parameters: bool,
    /// A result can say that it is an error.
    pub error_flag: bool,
    /// A result names its tool.
    pub result_names: bool,
    /// Results hold pictures and documents.
    pub media_results: bool,
    /// Results hold JSON values.
    pub json_results: bool,
    /// The text of a result is one JSON object, which also says whether it is an error.
    pub object_results: bool,
    /// What may be said about the choice of tools.
    pub choices: &'static [&'static str],
    /// Whether several calls may come in one answer can be said.
    pub parallel: bool,
    /// Where `parallel` is said only beside a choice.
    pub parallel_in_choice: bool,
    /// Tools must be declared when the history speaks of any.
    pub declared: bool,
    /// Tools may stand in groups, which calls name.
    pub groups: bool,
    /// The provider can search the web.
    pub web_search: bool,
    /// What can be said of such a search: members of the intermediate form's tool.
    pub search_says: &'static [&'static str],
    /// The calls of all tools that the provider runs are limited together.
    pub hosted_limit: bool,
    /// It can search while functions are offered, too.
    pub search_beside: bool,
    /// Kinds of tools that the provider runs and that a request with tools of the caller's own can do without.
    pub spare: &'static [&'static str],
}

/// The form and the bounds of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutputRules {
    /// A bound on the answer must be given; this one when neither the caller nor the model says.
    pub max_tokens: Option<u64>,
    /// The least bound that may be given.
    pub min_tokens: u64,
    /// Texts that may end the answer.
    pub stops: usize,
    /// Whether such a text may be nothing but white space.
    pub blank_stops: bool,
    /// Any JSON object may be asked for.
    pub json: bool,
    /// JSON may be asked for beside tools and documents.
    pub json_beside: bool,
    /// Objects of an answer's schema must say that they are closed.
    pub closed_schema: bool,
    /// An answer's schema has a name.
    pub schema_name: bool,
    /// An answer always obeys its schema.
    pub always_strict: bool,
    /// Answers that may be asked for.
    pub candidates: u64,
    /// The provider can be asked to keep answers.
    pub stored: bool,
}

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplingRules {
    /// Highest temperature.
    pub max_temperature: f64,
    /// Smallest probability mass.
    pub min_top_p: f64,
    /// Largest probability mass.
    pub max_top_p: f64,
    /// Fewest tokens that are considered, where 0 does not stand for all of them.
    pub min_top_k: Option<u64>,
    /// Most tokens that are considered; any number where there is none.
    pub max_top_k: Option<u64>,
    /// Largest seed; any where there is none.
    pub max_seed: Option<u64>,
    /// Smallest penalty.
    pub min_penalty: f64,
    /// Largest penalty.
    pub max_penalty: f64,
}

/// How reasoning is asked for and given back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReasoningRules {
    /// Reasoning is asked for by a number of tokens, or left to the model; otherwise by effort.
    pub by_budget: bool,
    /// Smallest number of tokens.
    pub min_budget: u64,
    /// Largest number of tokens; any where there is none.
    pub max_budget: Option<u64>,
    /// Words for effort, and the tokens they stand for, smallest first.
    pub efforts: &'static [(&'static str, u64)],
    /// Words for effort that it takes.
    pub words: &'static [&'static str],
    /// A tool may be forced while the model reasons.
    pub with_forced_choice: bool,
    /// Temperature and the like may be set while the model reasons.
    pub with_sampling: bool,
    /// A tool loop must begin with the reasoning that led to it.
    pub loop_needs_it: bool,
    /// The word for reasoning that is shown; empty where the provider decides.
    pub shown: &'static str,
    /// The word for reasoning that is not shown; empty where it is shown only when asked for, or always.
    pub hidden: &'static str,
    /// Reasoning that comes back must be signed.
    pub signed: bool,
    /// Reasoning blocks of a turn stand apart, each with its signature.
    pub blocks: bool,
    /// Reasoning that only the provider can read has a block of its own.
    pub redacted: bool,
}

/// Where clients keep what only its provider can read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CarriageRules {
    /// Blocks of reasoning have a place for a signature.
    pub reasoning: bool,
    /// Calls have one.
    pub calls: bool,
    /// Texts have one.
    pub texts: bool,
    /// Ids of calls serve instead.
    pub ids: bool,
    /// Reasoning is listed beside the content as well.
    pub listed: bool,
    /// Signatures are bytes in base64.
    pub signature_bytes: bool,
    /// Reasoning that only the provider can read is bytes in base64.
    pub data_bytes: bool,
    /// How ids of reasoning begin; empty where it has none.
    pub item_prefix: &'static str,
    /// The signature of a call that another provider made; empty where none is needed.
    pub unsigned_call: &'static str,
}

/// Pictures, documents, sound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MediaRules {
    /// Sound.
    pub audio: bool,
    /// Moving pictures.
    pub video: bool,
    /// Media types of pictures that may be given as bytes; empty where the provider alone knows.
    pub image_bytes: &'static [&'static str],
    /// How addresses of pictures begin that the provider takes.
    pub image_addresses: &'static [&'static str],
    /// An address comes with the media type of what is there.
    pub address_types: bool,
    /// Media types of documents that may be given as bytes.
    pub document_bytes: &'static [&'static str],
    /// How addresses of documents begin that the provider takes.
    pub document_addresses: &'static [&'static str],
    /// Media type of what is at the address of a document; empty where it may be any.
    pub document_address_type: &'static str,
    /// Documents may be plain text.
    pub document_text: bool,
    /// Documents have titles.
    pub document_titles: bool,
    /// Name of a document that has none; empty where none is needed.
    pub document_name: &'static str,
    /// Search results have a block of their own.
    pub search_results: bool,
    /// Documents stand beside the turns.
    pub documents_beside: bool,
    /// Names of documents have few characters and are different, and a text stands beside each document.
    pub plain_document_names: bool,
}

/// The form of an answer that clients expect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerRules {
    /// How an id that the gateway makes begins.
    pub id_prefix: &'static str,
    /// Several answers.
    pub several: bool,
    /// Text is one string.
    pub one_text: bool,
    /// A refusal is content; otherwise it is a reason to stop.
    pub refusal_content: bool,
    /// Citations other than of addresses.
    pub citations: bool,
    /// The form of token probabilities, which some protocols share; empty where answers have none.
    pub logprobs: &'static str,
}

/// What an error stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorRule {
    /// HTTP status; 0 fits any.
    pub status: u16,
    /// The provider's word for the kind of error, or its code; empty fits any.
    pub word: &'static str,
    /// A part of the provider's message, in lower case; empty fits any.
    pub message: &'static str,
    /// The class, in the terms that all protocols share.
    pub class: &'static str,
}

/// How to put right a request that a provider refuses because of how it is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepairRule {
    /// HTTP status; 0 fits any.
    pub status: u16,
    /// The provider's word for the kind of error, or its code; empty fits any.
    pub word: &'static str,
    /// The field that the provider names; empty fits any.
    pub param: &'static str,
    /// Parts of the provider's message in this order, in lower case, with `*` between them; empty fits any.
    pub message: &'static str,
    /// What to change.
    pub kind: &'static str,
    /// The fields to leave out, with `*` for what the message has at its pattern's last `*`; where there are none, that
    /// is the field, or else the one that the provider names.
    pub paths: &'static [&'static str],
}

/// One step that gives a document the shape that its target demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pass {
    /// Takes carried reasoning out of its envelopes.
    OpenCarriage,
    /// Leaves out system text that is meant for the source's own provider.
    DropPrivateText,
    /// Puts reasoning in front of what it led to.
    OrderContent,
    /// Takes tools out of their groups.
    FlattenGroups,
    /// Leaves out tools of the provider's that the caller can do without.
    FitHostedTools,
    /// Makes tools and calls with free text out of functions, or the other way round.
    FitCustomTools,
    /// Pairs calls and results.
    PairCalls,
    /// Moves leading system turns out of the conversation.
    HoistSystem,
    /// Makes a leading system turn of the instructions.
    LowerSystem,
    /// Gives each tool result a turn of its own behind its calls.
    SplitToolResults,
    /// Gathers tool results in one turn.
    GroupToolResults,
    /// Renders documents and search results that the target has no form for.
    RenderDocuments,
    /// Puts what is at an address in its place.
    FetchMedia,
    /// Checks pictures and sound.
    FitMedia,
    /// Says that a result is an error where there is no mark for it.
    FitErrors,
    /// Makes text of earlier refusals.
    FitRefusals,
    /// Names speakers where there is no place for it.
    FitNames,
    /// Leaves out cache marks.
    DropCacheMarks,
    /// Leaves out what is empty.
    DropEmpty,
    /// Joins neighbouring turns of one role.
    MergeTurns,
    /// Fits the first and the last turn.
    FitEnds,
    /// Makes ids fit.
    FitToolIds,
    /// Makes names of tools fit.
    FitToolNames,
    /// Makes arguments of calls an object.
    FitArguments,
    /// Declares tools that the history speaks of.
    DeclareTools,
    /// Fits the choice of tools.
    FitToolChoice,
    /// Bounds the answer.
    FitOutput,
    /// Asks for JSON.
    FitSchemaOutput,
    /// Keeps what the target takes of the texts that end an answer.
    FitStop,
    /// Asks for reasoning in the target's way.
    FitReasoning,
    /// Brings sampling into range.
    FitSampling,
    /// Fits reasoning of the history.
    FitHistoryReasoning,
    /// Joins items that the model gave into turns.
    JoinItems,
    /// Makes an item of each call, result and piece of reasoning.
    SplitItems,
    /// Puts cache marks at what they mark.
    AttachMarks,
    /// Makes elements of cache marks.
    DetachMarks,
    /// Gives results the form that the target has.
    FitResults,
    /// Moves documents into or out of the turns.
    PlaceDocuments,
    /// Names documents.
    FitDocumentNames,
    /// Keeps the citations of earlier answers that the target has a form for.
    FitCitedHistory,
    /// Says that the provider keeps nothing, where the caller did not ask for it.
    FitStore,
    /// Makes one text of the instructions, for a target that has room for one.
    JoinInstructions,
}

/// One step that gives an answer the shape that clients of its target expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AnswerPass {
    /// Keeps the first candidate.
    FirstCandidate,
    /// Cuts at a text that the gateway looks for.
    CutStops,
    /// Restores calls of emulated tools, ids and names as the caller knows them.
    RestoreCalls,
    /// Takes a fence off JSON.
    UnfenceJson,
    /// Says why it ended.
    FitFinish,
    /// Fits refusals.
    FitRefusal,
    /// Seals what only its provider can read.
    SealCarriage,
    /// Makes one text.
    JoinText,
    /// Fits citations.
    FitCitations,
    /// Fits ids and times.
    FitEnvelope,
}
