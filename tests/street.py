"""The modules of lmkeras in the order in which they build on each other."""

# The street: a module imports only from modules above it.
STREET = """
errors quiet display durable archives arguments.values
corpora.corpus corpora.characters corpora.table_files corpora.records corpora.memory
corpora.files corpora.paths corpora.tfds corpora.sources
corpora.documents corpora.docstrings corpora.unlabelled corpora.tables
corpora.spans corpora.tag_schemes corpora.tagged_columns
corpora.questions corpora.question_files
corpora.pairs corpora.pair_files
corpora.label_lists corpora.multi_label_split
corpora.labelled corpora.labelled_split corpora.labelled_files corpora.labelled_sources corpora
tokenizers.special tokenizers.base tokenizers.pieces tokenizers.word_splitter tokenizers.keras_legacy
tokenizers.chat_budget tokenizers.chat_sandbox tokenizers.chat
tokenizers.utf8 tokenizers.special_tokens tokenizers.spelling
tokenizers.patterns tokenizers.pipeline tokenizers.published_tables tokenizers.published_library
tokenizers.bert_text tokenizers.bert_inputs tokenizers.bert_files tokenizers.word_piece_training
tokenizers.in_graph tokenizers.in_graph.offsets tokenizers.in_graph.lower_case tokenizers.in_graph.merging
tokenizers.in_graph.whole_characters
tokenizers.in_graph.byte_pair
tokenizers.in_graph.keras_words
tokenizers.in_graph.bert_characters tokenizers.in_graph.bert_text tokenizers.in_graph.word_piece
tokenizers.in_graph.code_points tokenizers.in_graph.barriers tokenizers.in_graph.composing
tokenizers.in_graph.added_tokens tokenizers.in_graph.matching tokenizers.in_graph.pieces
tokenizers.in_graph.published
tokenizers.choice tokenizers.word_spans tokenizers.in_graph.word_spans
tokenizers.keras_words tokenizers.byte_pair tokenizers.word_piece tokenizers.published
tokenizers.roberta_files tokenizers.roberta tokenizers.encoders tokenizers
corpora.knowledge
corpora.tagged_spans corpora.tagged_records corpora.tagged_files corpora.tagged_memory corpora.tagged_docstrings
corpora.tagged
datasets.sharing datasets.prefetching datasets.notes datasets.windows datasets.judged_windows datasets.shard_files
datasets.shards
datasets.encoding datasets.shard_writing
datasets.sharded_windows
datasets.tokenized datasets.layout datasets.examples datasets.question_windows datasets.documents datasets.masking
datasets.words datasets.pairs datasets metrics overlap
reports.tables reports.matrix reports.classification reports.multi_label reports.spans reports
reports.answers reports.rewriting
training training.settings training.policy training.keras_contract training.randomness
pretrained pretrained.hub pretrained.precision pretrained.weight_files
pretrained.gguf pretrained.gguf.header pretrained.gguf.tensors pretrained.gguf.architectures pretrained.gguf.config
pretrained.gguf.tokenizer pretrained.gguf.opening pretrained.source
pretrained.bert_tables pretrained.checkpoint pretrained.bert
layers layers.precision layers.activations layers.fused layers.dropout layers.position layers.cache layers.attention
layers.blocks layers.cross_attention layers.cross_blocks layers.norm layers.rotary layers.grouped_attention
layers.published_block
pretrained.decoder_tables pretrained.decoder_rotary pretrained.decoder_config pretrained.decoder_families
layers.vocabulary_loss layers.recurrent layers.ngrams layers.word_features layers.crf layers.entities
networks networks.settings networks.size_types networks.registry networks.pooling networks.contract.body_and_head
networks.contract.writers networks.contract networks.judged networks.network networks.kept networks.heads
networks.heads.summary networks.heads.language networks.heads.classes networks.heads.labels networks.heads.spans
networks.heads.masked networks.heads.tags networks.bodies networks.bodies.embedding networks.bodies.ngrams
networks.bodies.words networks.bodies.dense networks.bodies.convolutional networks.bodies.recurrent
networks.bodies.bidirectional networks.bodies.transformer networks.bodies.encoder_decoder.base
networks.bodies.encoder_decoder.transformer networks.bodies.encoder_decoder.recurrent networks.bodies.encoder_decoder
networks.bodies.bert.calling networks.bodies.bert.packed networks.bodies.bert.reading networks.bodies.bert.publishing
networks.bodies.bert.encoder networks.bodies.decoder.sharing networks.bodies.decoder.body
networks.bodies.bert.classifier networks.bodies.bert.with_head networks.bodies.bert.drop_in networks.bodies.bert
networks.version_0_1 networks.weights networks.bodies.decoder.publishing networks.bodies.decoder
training.outcome training.averaging training.curves training.devices training.adam training.muon training.optimizers
training.layer_rates training.f1 training.entity_f1 training.spans
training.checkpoints training.interruption training.strategies
training.settings_file training.distribution training.state
training.callbacks training.progress training.run training.duration training.history training.fit training.rate_finder
decoding decoding.samplers decoding.sampling decoding.generate decoding.beams decoding.score decoding.text
decoding.conversation decoding.sources decoding.rewriting
tasks.registry tasks.columns tasks.data tasks.base tasks.checks tasks.choosing tasks.sentences
tasks.in_graph tasks.in_graph.tagging tasks.in_graph.whole_texts tasks.in_graph.chat tasks.in_graph.language
tasks.whole_texts tasks.predictions tasks.labelled tasks.thresholds tasks.multi_label tasks.classification
tasks.in_graph.answering tasks.answers tasks.answer_runner tasks.answering
tasks.scaling tasks.running_text tasks.language tasks.filling tasks.in_graph.masked
tasks.masked_runner tasks.masked tasks.entity_types tasks.entities tasks.tagging
tasks.in_graph.seq2seq tasks.pair_facts tasks.seq2seq_defaults tasks.seq2seq_runner tasks.seq2seq tasks
export export.saved_model
models models.folder models.network_file models.keras_file models.parts models.beginning models.recipe
models.saving models.given models.preparing
models.telling models.showing models.signatures models.model models.published models.publishing models.loading
models.language_model models.text_classifier models.tagger models.question_answerer models.masked_language_model
models.seq2seq_model
models.tables
models.cross_validation
models.search_space models.search_defaults models.studies models.trials models.tuning_pictures models.tuning_results
models.searching models.tuning
arguments.options arguments.parsing arguments.showing arguments.completion arguments.running arguments
cli.completion cli.configuration cli.runs cli.tokenization cli.network_options
cli.training cli.trial cli.tuning cli.language cli.chatting cli.answering cli.rewriting cli.prediction
cli.evaluation cli.comparison cli __main__
""".split()
