"""The vocabulary and the sentence patterns of generated prompts.

A pattern is a row of words; a word in capitals is drawn from the category of that name. Three of
the categories are made up from syllables and word pairs, so that free text is as diverse as
people's: the chance that two strangers write the same six words in a row is small.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from linkage.simulate.draws import Ints, Keys

__all__ = ["PATTERNS", "TOPICS", "Language", "load_language", "make_names"]

_WORDS: Final[dict[str, str]] = {
    "VERB": """
    accept adjust align allocate analyse annotate append archive arrange assemble assign audit
    balance batch benchmark bind bound build bundle cache calibrate cancel capture chart check
    clarify classify clean clone close cluster collapse collect combine compare compile compress
    compute condense configure connect convert copy correct count crop debug decode decompose
    decouple deduplicate define delay delete deploy derive describe design detect diagnose diff
    discard display document draft draw drop dump edit embed emit encode enforce enrich estimate
    evaluate expand explain export expose extend extract fetch filter fix flag flatten fold
    forecast format frame generate group handle harden highlight hold identify illustrate
    implement import improve index infer inline insert inspect integrate interpret inventory
    isolate iterate join justify label launch limit link list load locate log map mark mask
    match measure merge migrate mirror mock model modify monitor mount move name negotiate
    normalise notify number observe optimise order organise outline override pack paginate pair
    parse partition patch pause pin plan plot poll port predict prepare print probe profile
    project propose prove prune publish quantify query queue rank read rebuild recommend record
    reduce refactor refine register relate release render repair repeat replace replicate report
    rescale reserve reset resize resolve restore restructure retry return reverse review revise
    rewrite rotate route sample sanitise save scale scan schedule score search seed select send
    separate serialise serve shorten show shrink sign simplify simulate sketch skip slice solve
    sort specify split stage standardise start store stream strip structure submit subset
    suggest summarise supply suspend swap sync tabulate tag test throttle tighten time tokenise
    trace track train transform translate transpose traverse trim tune type unify unpack update
    upload validate verify version visualise watch weigh wrap write
    """,
    "NOUN": """
    abstract account adapter agenda agent aggregate alarm album algorithm allergy answer
    appendix approval archive argument arrangement array article assay asset assumption atlas
    auction audience author average axis backlog badge balance bakery bank barrier basket batch
    beacon bearing bill binder block blog blueprint board boiler bond bookmark border bottleneck
    boundary branch bridge brief broker browser bucket budget buffer bug builder bulletin cable
    calendar callback campaign canvas capsule caption carrier cart catalogue category cell
    census certificate chain chamber channel chapter charge chart checklist chef circuit claim
    clause client clinic clock cloud cluster coach column comment commission compass compiler
    component compound condition conflict connector consent constant constraint contract
    converter cookie corpus counter course courier crate credit crew criterion crop curve
    customer cycle dashboard database dataset deadline debate decision decoder default deficit
    definition delivery demand density deposit depot derivative diagram diary dictionary diet
    digest dimension directory discount disease dispatch distance district document domain donor
    draft driver duct duty edge edition editor electron email emission employee encoder endpoint
    engine enquiry entry envelope episode equation error essay estimate event exam exception
    exhibit expense experiment exponent factor failure fallback farm feature feedback ferry
    field figure filter flight flow folder footnote forecast forest form formula forum fraction
    fragment frame freight function fund gallery garden gateway gear gene glacier glossary goal
    grade graph grid guest guide habit handler harbour harvest header heap hedge helper
    histogram holiday hook hospital hotel house hypothesis icon image import income index
    indicator inference ingredient initiative input insurance integral interface interval
    interview inventory invoice island item iterator itinerary jacket job journal journey judge
    junction kernel kettle key kitchen label ladder landlord language lantern lattice layer
    layout leaflet league lease lecture ledger legend lens lesson letter level library licence
    lifecycle limit link list loan lobby lock locker logger loop lottery machine magnet mailbox
    manual manuscript map margin market matrix meadow meal measure meeting melody member memo
    memory menu merchant message meter method metric migration mineral minute mirror mission
    mixture mock model module molecule monitor motor museum network newsletter node notebook
    notice novel nurse object objective offer office operand operator optimum option orchard
    order orbit origin outlet outline output oven owner package page painting panel paper
    paragraph parameter parcel parser partner passage patch patient pattern payload payment
    payroll penalty pension permit phase pipeline pixel plan planet planner platform player plot
    plugin podcast poem pointer policy pool portfolio portal position poster premium
    prescription price prior problem procedure process product profile profit program project
    promise proof property proposal protein protocol proxy puzzle quarter query question queue
    quiz quota quote rack railway ratio reactor reader receipt recipe record recursion reference
    refund region register regression regulation reminder rent replica report request reserve
    resident resource response result resume retailer retry revenue reviewer revision reward
    rhythm river robot role roster route routine row rule salary sample satellite scanner
    scenario scene schedule schema scheduler school scope score screen script scroll season
    section segment selector semester seminar sensor sentence sequence serializer server service
    session setting settlement shard shape shelf shell shift shipment shop signal simulation
    sketch slice slide slogan socket solver song source spectrum speech spreadsheet sprint stack
    stadium stage statement station statistic step stock storage story strategy stream string
    student subset summary supplier surface survey switch syllabus symbol symptom syntax system
    table tariff task tax teacher team telescope template tenant tensor term terminal test
    theorem theme thesis thread threshold ticket tile timeline timeout timer title token tool
    topic tour tower track trade train transcript transfer transition treaty tree trend trial
    trigger tunnel tutorial type union unit update upgrade upload user vaccine validator valley
    value valve variable variance variant vector vendor venue verdict vessel video village
    visitor volume voucher wage wallet warehouse warning warranty watch wave website wedding
    weight widget window wire workflow workshop wrapper writer zone
    """,
    "ADJ": """
    absolute abstract accurate active adaptive additional adjacent aggressive alternate
    ambiguous angular annual anonymous approximate atomic automatic average balanced basic
    binary blank blocking bounded brief broken busy calm candid careful cautious central cheap
    circular civil classic clean clear clinical coarse coherent cold colourful comic common
    compact complete complex concise concrete conditional consistent constant continuous convex
    cooperative correct corrupt critical crowded cubic current curved custom cyclic damaged dark
    decimal deep default defensive delicate dense detailed deterministic digital direct discrete
    distant distinct dormant double dry dual duplicate dynamic eager early effective elastic
    elegant empty endless even exact expensive explicit external faint fair familiar fast final
    fine finite firm fixed flat flexible foreign formal fragile free frequent fresh friendly
    full functional fuzzy general generic gentle global golden gradual greedy green hidden
    hierarchical high historic honest horizontal hot huge humble hybrid idle immutable implicit
    incremental independent indirect industrial infinite initial inner integer interactive
    internal inverse irregular isolated iterative joint large late latent lazy lean legal light
    linear liquid little live local logical long loose low loyal lunar magnetic main major
    manual marginal massive maximal mean medical medium mild minimal minor missing mixed mobile
    moderate modern modular monthly moral multiple mutable mutual narrow native natural negative
    nested neutral new noisy nominal normal numeric obsolete odd official offline old open
    optional ordinary orthogonal outer overdue parallel partial passive periodic permanent
    personal pink plain plausible polite popular portable positive practical precise premium
    pretty primary prime private public pure quick quiet radial random rapid rare raw ready real
    recent recursive redundant regional regular relative reliable remote residual reusable rich
    rigid robust rough round rural safe scalar seasonal secondary secret secure senior separate
    sequential serial shallow sharp short silent similar simple single skewed slow small smooth
    social soft solid sparse spatial special spherical stable stale standard static steady steep
    strict strong structured subtle sudden symbolic symmetric synthetic tall temporal tense
    thick thin tiny total transparent triple tropical typical uneven uniform unique universal
    unsorted unstable upper urban urgent useful vague valid variable verbose vertical virtual
    visible vivid volatile warm weak weekly weighted wide wild wooden young
    """,
    "ADV": """
    accurately briefly calmly carefully cheaply clearly closely completely concisely
    consistently correctly critically daily directly early eagerly easily efficiently elegantly
    evenly eventually exactly explicitly fairly finally first formally freely fully gently
    globally gradually honestly immediately incrementally independently internally jointly
    lazily linearly locally logically manually mostly naturally neatly nightly numerically
    openly partially patiently periodically plainly politely precisely promptly properly quickly
    quietly randomly rapidly recursively reliably repeatedly rigorously robustly safely
    separately sequentially sharply silently simply slowly smoothly softly steadily strictly
    strongly symbolically thoroughly tightly twice uniformly usually visually weekly
    """,
    "LANG": """
    python rust go java kotlin swift ruby php perl scala haskell elixir erlang julia typescript
    javascript bash sql cobol fortran lua dart zig nim ocaml clojure groovy awk html css
    terraform docker kubernetes ansible postgres sqlite redis kafka spark pandas numpy react
    svelte django flask rails spring latex markdown yaml json xml graphql
    """,
    "ROLE": """
    accountant actor apprentice architect artist assistant astronomer auditor baker banker
    biologist bookkeeper botanist buyer captain carpenter cashier caterer chemist clerk coach
    consultant contractor cook curator dancer dentist designer developer dietitian director
    doctor economist editor electrician engineer farmer florist gardener geologist grandmother
    guide historian hiker intern investor janitor journalist judge landlord lawyer lecturer
    librarian manager mason mechanic mentor midwife minister musician neighbour novelist nurse
    optician painter paramedic parent pharmacist philosopher photographer physicist pilot
    plumber poet potter principal producer professor psychologist recruiter researcher sailor
    salesperson scientist sculptor secretary shopkeeper singer sociologist student surgeon
    surveyor tailor teacher tenant therapist trainer translator traveller treasurer tutor
    veterinarian volunteer waiter weaver
    """,
    "UNIT": """
    seconds minutes hours days weeks months years metres kilometres miles grams kilograms litres
    bytes kilobytes megabytes rows columns pages words lines characters tokens steps points
    degrees percent dollars euros items people requests threads pixels layers samples
    """,
    "DET": """
    the a this that our my one each every some any another your their his her which either such
    """,
    "FORMAT": """
    bullets paragraphs table outline checklist haiku email memo letter dialogue diagram
    pseudocode spreadsheet script essay slide tweet review abstract timeline glossary quiz
    flashcards report poem sonnet limerick storyboard rubric agenda
    """,
}

PATTERNS: Final[dict[str, tuple[str, ...]]] = {
    "code": (
        "VERB the ADJ NOUN IDENT so that NAME NOUN never VERB more than NUM UNIT",
        "my LANG NOUN IDENT fails on line NUM when the ADJ NOUN is ADJ",
        "given a ADJ NOUN named IDENT , VERB its NOUN in LANG and ADV VERB NAME",
        "IDENT should VERB every ADJ NOUN from NAME before the NOUN can VERB it",
        "why does IDENT VERB NUM UNIT slower than the ADJ NOUN in LANG ?",
        "port IDENT from LANG to LANG and VERB the ADJ NOUN with NAME",
        "add ADJ tests for IDENT that VERB the NOUN ADV at NUM UNIT",
        "the NOUN NAME must VERB IDENT ADV , otherwise VERB a ADJ NOUN",
        "use LANG to VERB NUM ADJ NOUN files named IDENT into one NOUN",
        "here IDENT returns ADJ NOUN instead of NUM , VERB the NAME NOUN",
        "keep the ADJ NOUN in IDENT under NUM UNIT while LANG can VERB it",
        "VERB and VERB the NOUN called NAME , then VERB IDENT for ADJ NOUN",
    ),
    "reasoning": (
        "NAME has NUM UNIT of ADJ NOUN and each ROLE can VERB NUM of them",
        "prove ADV that a ADJ NOUN with NUM UNIT cannot VERB the NAME NOUN",
        "if the ROLE from NAME will VERB NUM ADJ NOUN , how does the NOUN VERB ?",
        "think ADV about the ADJ NOUN , VERB each NOUN of NAME and VERB NUM",
        "which ADJ NOUN would a ROLE VERB when NAME is NUM UNIT away ?",
        "VERB the ADJ NAME NOUN into NUM ADJ steps and ADV VERB every NOUN",
        "assume NAME is a ADJ NOUN , VERB the NOUN that NUM ROLE VERB",
        "compare a ADJ NOUN of NUM UNIT against the ADJ NAME NOUN ADV",
        "a ROLE and a ROLE VERB NAME ADV , who can VERB NUM ADJ NOUN ?",
        "find the ADJ NOUN such that NAME and IDENT VERB to NUM UNIT",
        "what ADJ NOUN follows when NUM ADJ NOUN VERB near NAME ?",
    ),
    "writing": (
        "VERB a ADJ FORMAT about a ROLE named NAME who must VERB a ADJ NOUN",
        "the ADJ ROLE of NAME wants NUM ADJ NOUN in a ADJ FORMAT",
        "make my FORMAT on NAME sound ADJ and ADJ , about NUM UNIT",
        "rewrite ADV the NOUN where NAME and the ROLE VERB their ADJ NOUN",
        "give NUM ADJ titles for a FORMAT on NOUN and NAME NOUN",
        "my ROLE at NAME asked me to VERB a ADJ NOUN ADV by NUM",
        "describe the ADJ NOUN of NAME as a ROLE would VERB a ADJ NOUN",
        "turn NUM ADJ NOUN notes by NAME into a ADJ FORMAT for a ROLE",
        "a ADJ FORMAT with NUM UNIT in which NAME can VERB the ADJ NOUN",
        "why would a ADJ ROLE VERB NAME in the ADJ NOUN FORMAT ?",
        "translate NAME ADV into ADJ words a ROLE from NAME can VERB",
    ),
    "business": (
        "VERB the ADJ NOUN for NAME with NUM UNIT of ADJ NOUN ADV",
        "our ROLE at NAME must VERB NUM ADJ NOUN before the ADJ NOUN",
        "which ADJ NOUN should NAME VERB when NOUN falls by NUM UNIT ?",
        "prepare a ADJ FORMAT on NAME NOUN and VERB the ADJ NOUN ADV",
        "the ADJ NOUN of NAME grew NUM UNIT , VERB its NOUN for a ROLE",
        "answer a ADJ ROLE who will VERB the NAME NOUN after NUM UNIT",
        "VERB NUM ADJ NOUN rows from NAME into a ADJ FORMAT ADV",
        "plan a ADJ NOUN around NAME for NUM ROLE who VERB ADJ NOUN",
        "how can a ADJ ROLE VERB NAME and VERB NUM ADJ NOUN ?",
        "list NUM ADJ risks when NAME will VERB the ADJ NOUN NOUN",
    ),
    "study": (
        "explain ADJ NOUN to a ADJ ROLE using NAME and NUM ADJ NOUN",
        "what is the ADJ NOUN between NAME and a ADJ NOUN NUM ?",
        "quiz me ADV with NUM ADJ NOUN questions on NAME NOUN",
        "VERB chapter NUM of NAME about the ADJ NOUN and VERB it ADV",
        "why did the ROLE NAME VERB a ADJ NOUN for NUM UNIT ?",
        "I must VERB the ADJ NAME NOUN for my ROLE in NUM UNIT",
        "show ADV how NAME can VERB a ADJ NOUN of NUM UNIT",
        "give a ADJ example where NAME NOUN and ADJ NOUN VERB NUM",
        "summarise NUM ADJ NOUN sources on NAME as a ADJ FORMAT",
        "which ADJ NOUN does NAME VERB in the ADJ ROLE NOUN ?",
    ),
    # How many people begin, whoever they are; these runs of words link nobody.
    "opening": (
        "write a LANG function that",
        "can you help me with this",
        "please help me to",
        "i need you to",
        "act as a ROLE and",
        "you are a helpful ROLE .",
        "hi , i have a question about my NOUN",
        "fix the following LANG code for me",
        "what is the best way to do this :",
        "explain this to me like i am five :",
        "give me a step by step guide",
        "write an email to my ROLE about this",
        "i am getting an error in LANG",
        "summarise the following text for me :",
        "let us think step by step .",
        "how do i do this in LANG :",
    ),
}

TOPICS: Final = tuple(name for name in PATTERNS if name != "opening")


def _read(text: str) -> list[str]:
    return text.split()


_SYLLABLES: Final = _read("""
    ba bel bor cam cor da del dor el far fen gal gor hal har il jan jor ka kel kin lan lor lu
    mar mel mi mor na nel nor o or pa per quin ra ren ri ro sal sen sol ta tel thi to ul va ven
    vi vor wen wil yor za zen
""")
_ENDINGS: Final = [
    "",
    *_read("""
    a an ar by dale don el en er ford ham ia ic ik in is ley lin mere mond mont nia on or os ov
    ra ric rin sen stad stein ta ton um us va vale ville wick worth
"""),
]
_N_NAMES: Final = 24_000
_N_IDENTIFIERS: Final = 24_000
_N_NUMBERS: Final = 4_000
_GLUE: Final = _read("""
    the a this that these those some any each every its their our your my one both and or but
    then so also still now just only even very quite rather please kindly again further next
    with without within under over after before during between into onto from about around near
    per via for to of in on at by as is are was be can will would should must may might could
    does do did not when while where which who what why how if because than
""")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Language:
    """Words and patterns as flat arrays, ready for a compiled kernel."""

    word_bytes: np.ndarray  # uint8, all words end to end
    word_bounds: Ints  # where each word begins; one more entry than words
    word_hash: Keys  # 64-bit hash of each word; 0 for punctuation
    category_bounds: Ints  # first word of each category; category 0 is the literal words
    tokens: Ints  # patterns end to end: a word, or minus a category
    pattern_bounds: Ints  # where each pattern begins
    topic_bounds: Ints  # first pattern of each topic; the last topic is the openings
    n_glue: int  # the first so many literal words may stand for each other


def make_names(n_names: int, seed: int = 0) -> list[str]:
    """Make distinct pronounceable names from syllables.

    Parameters
    ----------
    n_names : int
        How many, at most 50,000.
    seed : int
        Which ones.

    Returns
    -------
    list of str
        Lower case, in an order that depends on `seed` only.

    Examples
    --------
    >>> names = make_names(1000)
    >>> len(set(names))
    1000
    """
    rng = np.random.default_rng([seed, 77])
    n_syllables = len(_SYLLABLES)
    codes = rng.permutation(n_syllables**2 * len(_ENDINGS))[: 2 * n_names + 100].tolist()
    names = dict.fromkeys(
        _SYLLABLES[code // len(_ENDINGS) // n_syllables]
        + _SYLLABLES[code // len(_ENDINGS) % n_syllables]
        + _ENDINGS[code % len(_ENDINGS)]
        for code in codes
    )
    return list(names)[:n_names]


def _make_identifiers(words: dict[str, list[str]]) -> list[str]:
    rng = np.random.default_rng(78)
    verbs = rng.integers(0, len(words["VERB"]), 4 * _N_IDENTIFIERS).tolist()
    nouns = rng.integers(0, len(words["NOUN"]), 4 * _N_IDENTIFIERS).tolist()
    made = dict.fromkeys(
        f"{words['VERB'][v]}_{words['NOUN'][n]}" for v, n in zip(verbs, nouns, strict=True)
    )
    return list(made)[:_N_IDENTIFIERS]


def _list_words() -> dict[str, list[str]]:
    words = {name: list(dict.fromkeys(text.split())) for name, text in _WORDS.items()}
    words["NAME"] = make_names(_N_NAMES)
    words["IDENT"] = _make_identifiers(words)
    words["NUM"] = [str(number) for number in range(2, _N_NUMBERS + 2)]
    return words


def _list_literals(categories: dict[str, list[str]]) -> list[str]:
    literals = dict.fromkeys(_GLUE)
    for patterns in PATTERNS.values():
        for pattern in patterns:
            literals.update(dict.fromkeys(w for w in pattern.split() if w not in categories))
    return list(literals)


def _split(pattern: str, topic: str) -> list[str]:
    # Articles vary where people would vary them; an opening is a set phrase.
    words = pattern.split()
    return words if topic == "opening" else ["DET" if w in ("a", "the") else w for w in words]


def _hash_word(word: str) -> int:
    if not word[0].isalnum():
        return 0
    state = 0xCBF29CE484222325  # FNV-1a, 64 bits
    for byte in word.encode("ascii"):
        state = ((state ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return state


@cache
def load_language() -> Language:
    """Build the vocabulary and patterns, once.

    Returns
    -------
    Language
    """
    categories = _list_words()
    literals = _list_literals(categories)
    position = {name: k for k, name in enumerate(categories, start=1)}
    literal_at = {word: k for k, word in enumerate(literals)}
    groups = [literals, *categories.values()]
    words = [word for group in groups for word in group]
    patterns = [_split(p, name) for name in (*TOPICS, "opening") for p in PATTERNS[name]]
    tokens = [
        -position[word] if word in position else literal_at[word] for p in patterns for word in p
    ]
    return Language(
        word_bytes=np.frombuffer("".join(words).encode("ascii"), dtype=np.uint8),
        word_bounds=_bounds([len(word) for word in words]),
        word_hash=np.array([_hash_word(word) for word in words], dtype=np.uint64),
        category_bounds=_bounds([len(group) for group in groups]),
        tokens=np.array(tokens, dtype=np.int64),
        pattern_bounds=_bounds([len(p) for p in patterns]),
        topic_bounds=_bounds([len(PATTERNS[name]) for name in (*TOPICS, "opening")]),
        n_glue=len(_GLUE),
    )


def _bounds(sizes: list[int]) -> Ints:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
