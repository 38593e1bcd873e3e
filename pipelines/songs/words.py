"""The words that are sung: plain English, chosen for many different consonants and vowels."""

ONE = """
all air arm ask back bad ball band bang bank bar beach beat bed bell bend best bird black blame
blood blow blue bone born both boy brain brave bread break breath bright bring burn call calm came
car care cast catch chain chance change chase child church clean climb clock close cloud coast cold
come cool corn crowd crown cry cure curl curse dance dark dawn day dead deal dear deep dirt door
doubt down dream dress drift drink drive drop dust each earth east edge end eye face fade fair faith
fall false far farm fast fault fear feel field fight film find fire first flag flame flash flesh
flight float flood floor flow fly fog fold fool forth found free fresh friend frost full fun game
gave ghost gift girl give glass gleam globe glow go gold gone good grace grand grave great green
grey grief ground grow guard guess guide gun half hall hand hang hard harm hate have haze head hear
heart heat height help here high hill hold hole home hope horse house how howl hunt hurt ice itch
jail join joke joy judge juice jump just keep key kill kind king kiss knee knife knock know lace
lake land last late laugh law lead leaf learn leave left lend less life lift light like line lips
live load lock lone long look lord lose lost loud love luck lung mad make man march mark match me
mean meet mild milk mind mine miss mist mix moan moon more most mouth move mud myth nail name near
neck need nerve new night noise none north nose now oath oil old once own page pain paint pale park
past path pay peace pearl phone place plain play please point poor pour power praise pray pride
prince prove pull pulse pure push queen quick quiet race rage rain raise reach read real red rest
rich ride right ring rise road rock roll roof room rope rose rough round rule run rush sad safe said
sail salt same sand save say school sea search seed seek send sense shade shake shame shape share
sharp shine ship shoe shore short shout show shut sick side sigh sign silk sing sink skin sky sleep
slide slow small smell smile smoke snow soft soil some song soon soul sound south space spark speak
speed spell spend spill spin spring stage stand star start stay steal steam steel step still stone
stop storm strange stream street stretch strike strong such sun sure sweet swim swing take talk
taste teach teeth tell thank thick thief thin thing think thirst thorn thought thread three throat
throne through throw thrill tide time tired toe told tone tongue took torn touch tough town toy
trace track train trap tree trick true trust truth try turn twice twin two vain veil verse view
vine voice vow wait wake walk wall want war warm wash watch wave way weak wear week west wheel where
while white who whole why wide wife wild wind wine wing wire wise wish with wolf wood word work
world wrong yard year young youth zone
""".split()

TWO = """
about above after again alone always angel another answer apart around asleep away baby beauty
because before begin believe belong better between beyond body broken burning calling candle chosen
city coming corner crazy crying dancing danger daughter desert diamond distant dollar doctor dragon
dreaming easy echo eleven empty engine ever evening falling father feather feeling fever finger
flower flying follow forest forget forgive forward freedom garden gentle getting given glory golden
happy harbour heaven heavy hello hidden holy honey hollow hundred hunger hurry inside island jealous
journey kingdom ladder ladies later leather letter listen little living lonely losing lover lucky
magic maybe melting memory mercy midnight million mirror moment money morning mother motion mountain
moving music naked nature never nothing number ocean only open orange over paper people perfect
picture pieces pleasure pocket poison present promise putting question quickly rainbow ready reason
remember rhythm river running sailor sacred season secret seven shadow shelter shining shoulder
silence silver simple singing sister sleeping sorrow stolen stranger summer sunday surely surrender
thousand thunder together tomorrow tonight treasure trouble turning under unknown valley velvet
victory waiting walking wanted water whisper willow window winner winter wisdom within without woman
wonder yellow
""".split()
THREE = ("another", "eleven", "memory", "remember", "surrender", "together", "tomorrow", "victory")
OPEN = "ah oh ooh whoa yeah hey la na da doo ha ay".split()  # calls and words without sense


def syllables(word: str) -> int:
    """How many notes a word takes."""
    if word in OPEN or word in ONE_SET:
        return 1
    return 3 if word in THREE else 2


ONE_SET = frozenset(ONE) - {"power", "quiet", "tired"}
SPELLED = {"ah": "ah", "ooh": "ooo", "whoa": "woah", "na": "nah", "doo": "do", "ay": "hay"}
EVERY = tuple(sorted({*ONE, *TWO, *OPEN}))
