"""What the user gives and can mend: the command line ends with 2, says so in one line, and leaves all files alone.

Each row of TABLE is a command, whose beginning it shares with others, and what its one line on standard error must
contain. It runs in the folder that the fixture `in_place` makes, with files that cannot be used and models that can.
When it has ended, that folder must be what it was, name by name and byte by byte; so `--output new` also says that
nothing was begun there.
"""

import pytest

from tests.cli.command import contents, require_one_line, run_line

TABLE = {
    # files and encodings
    "train lm --output new --text": """
        missing.txt                            | no such file or folder: 'missing.txt'
        'data/**/*.txt'                        | no file matches 'data/**/*.txt'
        folder                                 | 'folder' is or has no file with a name that ends in one of .txt
        folder.csv                             | 'folder.csv' is or has no file with a name that ends in one of .txt
        lm/model.safetensors                   | 'lm/model.safetensors' is or has no file with a name that ends in
        binary.txt                             | binary.txt line 3: the byte at offset 127 is not utf-8
        latin.txt                              | latin.txt line 3: the byte at offset 11 is not utf-8
        text.txt --encoding utf-16             | text.txt line 1: the byte at offset 0 is not utf-16
        utf16.txt                              | utf16.txt line 1: U+0000 is not a character of text
        nul.txt                                | nul.txt line 2: U+0000 is not a character of text
        text.txt --encoding klingon            | unknown encoding 'klingon': expected a name that Python knows
        text.txt --encoding hex                | unknown encoding 'hex'
        empty.txt                              | empty.txt holds no text
        blank.txt                              | blank.txt holds no text, or nothing but white space
        text.txt empty.txt                     | empty.txt holds no text
        two*lines.txt                          | two lines.txt holds no text
        unpacked.txt.gz                        | unpacked.txt.gz is not a complete gzip file (Not a gzipped file
        cut.txt.gz                             | cut.txt.gz is not a complete gzip file (Compressed file ended
        garbled.txt.gz                         | garbled.txt.gz is not a complete gzip file (Error -3 while
        checksum.txt.gz                        | checksum.txt.gz is not a complete gzip file (CRC check failed
        bomb.csv.gz                            | bomb.csv.gz line 2 has more than 1048576 characters
        words.csv                              | words.csv line 1: column 'text' is missing; the columns are 'words',
        words.tsv                              | words.tsv line 1: column 'text' is missing; the columns are 'words',
        ragged.csv                             | ragged.csv line 3: expected 2 fields as in the header, got 3
        quote.csv                              | quote.csv line 3: not a row of a table (unexpected end of data)
        header.csv                             | header.csv holds no text
        twice.csv                              | twice.csv line 1: 2 columns are called 'text': rename all but one
        merged.csv                             | merged.csv line 2: a quotation mark that opens here closes in a later
        text.txt --quoting of                  | did you mean
        list.jsonl                             | list.jsonl line 2: expected a string or an object with a string
        keyless.jsonl                          | keyless.jsonl line 2: key 'text' is missing; the keys are 'words'
        number.jsonl                           | number.jsonl line 1: expected a string or an object with a string
        deep.jsonl                             | deep.jsonl line 1: not JSON (maximum recursion depth exceeded
        digits.jsonl                           | digits.jsonl line 1: not JSON (Exceeds the limit (4300 digits)
        broken.jsonl                           | broken.jsonl line 3: not JSON (Expecting value
        surrogate.jsonl                        | surrogate.jsonl line 2: U+D83D is not a character of text
        tfds:                                  | no such file or folder: 'tfds:'
        tfds:x                                 | tfds:x: expected tfds:name/config:split:feature
        tfds:no_such_thing:train               | tfds:no_such_thing: no such data set
        builtin:python-dogs                    | did you mean 'python-docs'?
        gopher:text.txt                        | unknown kind of source 'gopher:': expected one of
        text.txt --validation missing.txt      | no such file or folder: 'missing.txt'
        text.txt --validation empty.txt        | empty.txt holds no text""",
    # labels
    "train classifier --output new --text": """
        text.txt                               | text.txt line 1: expected label<TAB>text or __label__name text
        words.csv --text-column words          | words.csv line 1: column 'label' is missing
        examples.csv --label-column text       | expected columns that differ from each other
        constant.csv                           | expected examples with at least two labels, got 2 examples that are
        lonely.csv                             | it has 2 examples and no two of them with the same label
        combined.csv                           | another column, name it with --label-column. If ',' stands between
        combined.csv --label-column label      | none, say --label-separator ','
        run                                    | 'run' is the folder of a trained model and its run (it has config
        unlabelled.csv                         | unlabelled.csv: 1 of 3 examples have no label (first: line 3)
        labels.jsonl                           | labels.jsonl line 1: expected a string or a number as label, got dict
        pair.jsonl --pair-column pair          | pair.jsonl line 2: expected an object with a string under 'pair'
        tabless.txt --pair-column pair         | expected .csv, .tsv or .jsonl files, which can hold pairs of texts
        tabless.txt                            | tabless.txt line 2: expected label<TAB>text as in the lines before
        fasttext.txt                           | fasttext.txt line 2: expected the label at the beginning
        textless.txt                           | textless.txt holds no text
        bomb.txt.gz                            | bomb.txt.gz line 1 has more than 1048576 characters
        deep                                   | expected files in subfolders that are the labels, got deep/a/b/c.txt
        builtin:python-docs                    | did you mean 'python-docstrings'?
        examples.csv --validation other.csv    | 1 of 2 examples have labels that were not learnt: 'maybe' (1)""",
    # arguments and sizes
    "train lm --output new --text text.txt": """
        --learnin-rate 0.1                     | --learnin-rate; did you mean --learning-rate?; see lmkeras train lm
        --nonsense                             | unknown option --nonsense; see lmkeras train lm --help
        --network lstn                         | unknown --network 'lstn': expected one of auto, transformer, lstm
        --tokenizer word                       | unknown --tokenizer 'word': expected one of auto,
        --optimizer sgd                        | unknown --optimizer 'sgd': expected one of muon, adamw, adam
        --steps -1                             | --steps must be at least 1, got -1
        --steps 1.5                            | --steps: expected a whole number, got '1.5'; see lmkeras train lm
        --batch-size 0                         | --batch-size must be at least 1, got 0
        --learning-rate nan                    | --learning-rate must be greater than 0, got nan
        --learning-rate inf                    | --learning-rate must be
        --learning-rate -1                     | --learning-rate must be greater than 0, got -1.0
        --weight-decay nan                     | --weight-decay
        --clip-norm 0                          | --clip-norm must be greater than 0, got 0.0
        --seed -1                              | --seed must
        --seed 99999999999999999999            | --seed must
        --dropout 1.0                          | --dropout must be from 0 to below 1, got 1.0
        --dropout nan                          | --dropout must be from 0 to below 1, got nan
        --validation-fraction 1                | --validation-fraction: expected a number between 0 and 1, got 1.0
        --validation-fraction -0.1             | --validation-fraction: expected a number between 0 and 1, got -0.1
        --validation-fraction nan              | --validation-fraction: expected a number between 0 and 1, got nan
        --vocabulary-size 1                    | --vocabulary-size must be at least 257
        --window-length 999                    | --window-length 999 is longer than the network's --context-length 128
        --num-heads 3                          | the width 128 must be a multiple of --num-heads=3
        --num-heads 0                          | --num-heads must be at least 1, got 0
        --context-length 0                     | --context-length must be at least 1, got 0
        --network lstm --units 0               | --units must be at least 1, got 0
        --network lstm --dff 3                 | --dff is a size of transformer; lstm has --embedding-dim, --units
        --network lstm --units 1000000000000   | --units must be
        --device gpu:99                        | no device gpu:99: TensorFlow finds
        --device toaster                       | unknown device 'toaster': expected auto, cpu, gpu or gpu:N
        --output lm                            | lm holds a model already: name another --output, or say --overwrite
        --output lm --overwrite --resume       | say one of them
        --output used                          | used holds
        --output text.txt                      | text.txt is a file: name a folder as --output
        --output text.txt/run                  | text.txt is a file: name a folder as --output
        --output /proc/run                     | /proc""",
    "train classifier --output new --text examples.csv": """
        --network cnn --widths 0               | --widths must be at least 1, got 0
        --network cnn --filters 0              | --filters must be at least 1, got 0
        --max-length 1                         | --max-length must be at least 2
        --network cnn --weights folder         | weights are for the network 'bert', not for 'cnn'
        --weights folder                       | folder holds no tokenizer: expected vocab.txt, tokenizer.json
        --network bert --weights folder        | folder holds no tokenizer: expected vocab.txt, tokenizer.json
        --class-weights maybe 2                | unknown label in --class-weights 'maybe': expected one of no, yes
        --class-weights no nan                 | the weight of class 'no' must be 0 or more, got nan
        --frozen-groups 99                     | cannot freeze 99 of 2 groups of layers
        --layer-decay 0                        | --layer-decay must be above 0 and at most 1, got 0.0
        --output classifier                    | classifier holds a model already""",
    # checkpoints
    "info": """
        missing                                | no saved model in missing: missing/config.json is missing
        text.txt                               | no saved model in text.txt
        garbled                                | garbled/config.json is damaged or was changed
        nested                                 | nested/config.json is damaged or was changed
        without-model.safetensors              | without-model.safetensors/model.safetensors is missing
        damaged-config.json                    | damaged-config.json/config.json is damaged or was changed
        damaged-tokenizer.json                 | damaged-tokenizer.json/tokenizer.json is damaged
        damaged-model.safetensors              | damaged-model.safetensors/model.safetensors is damaged""",
    # what a saved model is asked for
    "evaluate": """
        lm                                     | lmkeras evaluate needs --text; see lmkeras evaluate --help
        missing --text text.txt                | no saved model in missing
        damaged-model.safetensors --text text.txt | damaged-model.safetensors/model.safetensors is damaged
        lm --text latin.txt                    | latin.txt line 3: the byte at offset 11 is not utf-8
        lm --text text.txt --pair-column a     | --pair-column is for a text classifier or a multi-label classifier, and
        lm --text text.txt --label-column a    | --label-column is for a text classifier or a multi-label classifier
        lm --text text.txt --stride 0          | stride must be from 1 to 16, the length of a window, got 0
        lm --text text.txt --stride 17         | stride must be from 1 to 16, the length of a window, got 17
        lm --text text.txt --picture new.png   | --picture is for a text classifier or a multi-label classifier or
        classifier --text other.csv --stride 3 | --stride is for a language model, and classifier is a text classifier
        classifier --text other.csv            | 1 of 2 examples have labels that were not learnt: 'maybe' (1)
        classifier --text pairs.csv --pair-column pair             | this model takes single texts, and got a pair
        classifier --text examples.csv --picture mine.png          | mine.png exists already: name another file, or say
        classifier --text examples.csv --picture folder            | folder is a folder: name a file
        classifier --text examples.csv --picture missing/new.png   | missing is no folder: make it first
        classifier --text ragged.csv --picture mine.png --overwrite | ragged.csv line 3: expected 2 fields""",
    "generate lm --prompt Ann": """
        --max-new-tokens 0                     | --max-new-tokens must be at least 1 and less than 16777216, got 0
        --max-new-tokens -3                    | --max-new-tokens must be at least 1 and less than 16777216, got -3
        --temperature nan                      | --temperature must be 0 or more, got nan
        --temperature -1                       | --temperature must be 0 or more, got -1.0
        --temperature inf                      | --temperature must be 0 or more, got inf
        --top-p 0                              | --top-p must be greater than 0 and at most 1, got 0.0
        --top-p 1.5                            | --top-p must be greater than 0 and at most 1, got 1.5
        --top-p nan                            | --top-p must be greater than 0 and at most 1, got nan
        --top-k -1                             | --top-k must be 0 (all) or more, got -1
        --repetition-penalty 0                 | --repetition-penalty must be greater than 0, got 0.0
        --seed 99999999999                     | --seed must fit in 32 bits, got 99999999999
        --num-samples 0                        | --num-samples must be at least 1 and less than 16777216, got 0
        --stop ''                              | a stop text must not be empty
        --device gpu:99                        | no device gpu:99""",
    "predict classifier": """
        fizzy --text examples.csv              | give texts, or files of texts as --text, not both
        fizzy --pair-column pair               | --pair-column is for files of pairs
        fizzy --output new.txt                 | new.txt: answers are written as .csv, .tsv or .jsonl
        fizzy --output mine.csv                | mine.csv exists already: name another file, or say --overwrite
        fizzy --output missing/new.csv         | missing is no folder: make it first
        fizzy --output folder.csv --overwrite  | folder.csv is a folder: name a file
        --text words.csv                       | words.csv line 1: column 'text' is missing
        --text header.csv --output new.csv     | header.csv holds no text
        --text latin.txt --output new.jsonl    | latin.txt line 3: the byte at offset 11 is not utf-8
        --text ragged.csv --output mine.csv --overwrite | ragged.csv line 3: expected 2 fields""",
    "export": """
        missing new                            | no saved model in missing
        damaged-tokenizer.json new             | damaged-tokenizer.json/tokenizer.json is damaged
        lm                                     | lmkeras export needs FOLDER; see lmkeras export --help
        lm exported                            | exported has files in it already: name a new folder, or say --overwrite
        lm folder --overwrite                  | folder is not a SavedModel alone: it is not overwritten
        lm text.txt                            | text.txt is a file: name a folder
        lm text.txt/new                        | text.txt is a file: name a folder
        lm new --dtype bfloat16                | is exported in its own precision
        classifier new --dtype bfloat16        | is exported in its own precision""",
    # of the other kind
    "": """
        generate classifier                    | classifier is a text classifier, and this is for a language model
        score classifier fizzy                 | classifier is a text classifier, and this is for a language model
        predict lm Ann                         | lm is a language model, and this is for a text classifier
        tarin                                  | did you mean 'train'?; see lmkeras --help
        train --text text.txt --output new     | train needs a task: say one of train lm, train classifier, train
        train raterr --text x --output new     | unknown task 'raterr': expected one of lm, classifier
        train clasifier --text x --output new  | did you mean 'classifier'?; see lmkeras train --help""",
}
ROWS = [
    pytest.param(f"{start} {rest.strip()}".strip(), says.strip(), id=f"{start} {rest.strip()}".strip())
    for start, lines in TABLE.items()
    for rest, says in (line.split("|", 1) for line in lines.strip().splitlines())
]


def test_a_missing_file_is_no_text_of_python(in_place, capsys):
    """The shell has no lists: the line names the folder that was searched, and the nearest name in it."""
    code, out, err = run_line(capsys, "train lm --output new --text textt.txt")
    require_one_line(code, out, err, f"searched in {in_place}; did you mean 'text.txt'?\n")
    assert "[text]" not in err


def test_there_are_enough_rows():
    assert len({row.values[0] for row in ROWS}) == len(ROWS) >= 60


@pytest.mark.parametrize(("command", "says"), ROWS)
def test_one_line_exit_2_and_nothing_left_behind(command, says, in_place, capsys):
    before = contents(in_place)
    code, out, err = run_line(capsys, command)
    require_one_line(code, out, err, says)
    assert out == "", "what was given is checked before anything is printed"
    assert contents(in_place) == before
